"""Of two fields on space that contradict one another, none is believed in silence."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import isles2024_cases, nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, read_case
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.io.nifti_space import Space

NAN, INF = np.nan, np.inf
PIXDIM = "gives its axes no directions or no sizes: correct its sform, qform or pixdim"


@pytest.fixture
def scanned(tmp_path: Path) -> dict[str, Path]:
    """A study as converters write it: one affine as sform and qform, its sizes in pixdim, all units stated."""
    affine = isles2024_cases.oblique("LPS", zooms=(9.0, 8.0, 6.0))
    paths = {}
    for name, data in {"ctp": nifti_cases.bolus_series(), **isles2024_cases.maps(nifti_cases.SHAPE)}.items():
        paths[name] = isles2024_cases.save(tmp_path / f"{name}.nii", data, affine)
        nifti_cases.patch(paths[name], xyzt_units=10)
    return paths


@pytest.fixture
def isles(tmp_path: Path) -> dict[str, Path]:
    """A study as ISLES 2018 writes it: the identity as sform, no qform, sizes in pixdim, no unit."""
    return nifti_cases.files_of(nifti_cases.write_isles(tmp_path / "case_7"))


def read(paths: dict[str, Path], **fields: object) -> Case:
    """The case with fields changed in all of its files."""
    for path in paths.values():
        nifti_cases.patch(path, **fields)
    return read_nifti_case("case", paths)


def codes(case: Case) -> list[str]:
    return [found.code for found in case.findings]


def test_what_agrees_is_no_finding(scanned: dict[str, Path], isles: dict[str, Path]):
    for paths, source in ((scanned, "affine"), (isles, "pixdim")):
        case = read_nifti_case("case", paths)
        assert case.findings == ()
        assert case.geometry.sides_stated
        assert case.geometry.spacing_source == source


@pytest.mark.parametrize("form", [(0, 0), (77, 0), (-1, 6)])
def test_without_a_form_no_side_is_stated_and_nothing_is_mirrored(isles: dict[str, Path], form: tuple[int, int]):
    """nibabel would invent an affine whose first axis runs to the left."""
    expected = read_nifti_case("case", isles)
    case = read(isles, sform_code=form[0], qform_code=form[1])
    assert codes(case) == ["sides-not-stated"]
    assert case.findings[0].sentence.startswith("CTP, CBF, CBV, MTT, TMAX, LESION: ")
    assert not case.geometry.sides_stated
    assert_array_equal(case.series, expected.series)
    assert case.geometry.spacing == expected.geometry.spacing


@pytest.mark.parametrize("study", ["isles", "scanned"])
def test_a_map_without_a_form_is_said_and_the_series_has_its_sides(study: str, request: pytest.FixtureRequest):
    paths: dict[str, Path] = request.getfixturevalue(study)
    nifti_cases.patch(paths["mtt"], sform_code=0, qform_code=0)
    case = read_nifti_case("case", paths)
    assert codes(case) == ["sides-not-stated"]
    assert case.findings[0].sentence.startswith("MTT: ")
    assert case.geometry.sides_stated


@pytest.mark.parametrize("code", ["sform_code", "qform_code"])
def test_one_form_is_enough(scanned: dict[str, Path], code: str):
    expected = read_nifti_case("case", scanned)
    case = read(scanned, **{code: 0})
    assert case.findings == ()
    assert_array_equal(case.series, expected.series)
    assert_allclose(case.geometry.affine, expected.geometry.affine, atol=1e-4)


def test_a_mirrored_qform_takes_the_sides(scanned: dict[str, Path]):
    case = read(scanned, srow_x=-nib.load(scanned["ctp"]).header["srow_x"])
    assert codes(case) == ["sides-contradict"]
    assert "to RPS by the sform and to LPS by the qform" in case.findings[0].sentence
    assert not case.geometry.sides_stated


def test_forms_that_are_half_a_voxel_apart_are_a_finding_and_less_is_none(scanned: dict[str, Path]):
    origin = float(nib.load(scanned["ctp"]).header["qoffset_x"])
    assert read(scanned, qoffset_x=origin + 2.9).findings == ()
    case = read(scanned, qoffset_x=origin + 3.2)
    assert codes(case) == ["forms-contradict"]
    assert "3.2 mm" in case.findings[0].sentence
    assert case.geometry.sides_stated


def test_a_qform_that_is_no_rotation_is_a_finding_beside_an_sform_and_refused_alone(scanned: dict[str, Path]):
    assert codes(read(scanned, quatern_b=2.0)) == ["forms-contradict"]
    with pytest.raises(InputError, match=PIXDIM):
        read(scanned, sform_code=0)


def test_a_qform_beside_the_identity_is_taken(isles: dict[str, Path]):
    """Turned by 180 degrees about the body's axis: left and front change places."""
    assert read(isles, qform_code=1).findings == ()
    case = read(isles, qform_code=1, quatern_d=1.0)
    assert codes(case) == ["sides-contradict"]
    assert not case.geometry.sides_stated
    assert_allclose(np.diag(case.geometry.affine), [-9.0, -9.0, 6.0, 1.0], atol=1e-5)


@pytest.mark.parametrize("factor", [0.0, 7.0, NAN, INF, -2.0])
def test_a_qform_of_unknown_handedness_takes_the_sides(scanned: dict[str, Path], factor: float):
    assert read(scanned, pixdim={0: factor}).geometry.affine[2, 2] > 0  # the sform counts
    case = read(scanned, sform_code=0)
    assert "sides-contradict" in codes(case)
    assert not case.geometry.sides_stated


@pytest.mark.parametrize("size", [0.0, -9.0, NAN, INF, 1e30, 1e-30, 9.1, 18.0])
def test_voxel_sizes_that_differ_by_over_a_percent_are_a_finding(scanned: dict[str, Path], size: float):
    assert read(scanned, qform_code=0, pixdim={1: 9.08}).findings == ()
    case = read(scanned, pixdim={1: size})
    assert codes(case) == ["sizes-contradict"]
    assert_allclose(case.geometry.spacing, (6.0, 8.0, 9.0), rtol=1e-5)


@pytest.mark.parametrize("size", [0.0, -9.0, NAN, INF, -INF])
@pytest.mark.parametrize("form", [1, 0])
def test_voxel_sizes_that_are_none_are_refused_where_nothing_else_states_them(
    isles: dict[str, Path], size: float, form: int
):
    with pytest.raises(InputError, match=PIXDIM):
        read(isles, pixdim={2: size}, sform_code=form)


@pytest.mark.parametrize("size", [1e30, 1e-30, 31.0, 0.09])
def test_voxel_sizes_of_no_head_are_refused(isles: dict[str, Path], size: float):
    with pytest.raises(InputError, match=f"{PIXDIM}|a voxel with a side of"):
        read(isles, pixdim={2: size})


@pytest.mark.parametrize(("code", "mm"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_of_length_are_obeyed(isles: dict[str, Path], code: int, mm: float):
    case = read(isles, xyzt_units=code, pixdim={1: 9.0 / mm, 2: 9.0 / mm, 3: 6.0 / mm})
    assert case.findings == ()
    assert_allclose(case.geometry.spacing, (6.0, 9.0, 9.0), rtol=1e-5)
    other = {0: 1, 1: 3, 2: 3, 3: 1}[code]
    with pytest.raises(InputError, match=f"{PIXDIM}|a voxel with a side of"):
        read(isles, xyzt_units=other)


def test_an_affine_is_in_the_unit_too(scanned: dict[str, Path]):
    expected = read_nifti_case("case", scanned)
    for path in scanned.values():
        header = nib.load(path).header
        fields = {name: header[name] / 1000 for name in ("srow_x", "srow_y", "srow_z", "qoffset_x", "qoffset_y")}
        sizes = {axis: header["pixdim"][axis] / 1000 for axis in (1, 2, 3)}
        nifti_cases.patch(path, **fields, qoffset_z=header["qoffset_z"] / 1000, pixdim=sizes, xyzt_units=9)
    case = read_nifti_case("case", scanned)
    assert case.findings == ()
    assert_allclose(case.geometry.affine, expected.geometry.affine, rtol=1e-5)
    assert_array_equal(case.series, expected.series)


@pytest.mark.parametrize("code", [4, 7])
def test_a_unit_that_does_not_exist_is_said(isles: dict[str, Path], code: int):
    assert codes(read(isles, xyzt_units=code)) == ["unit-unknown"]


@pytest.mark.parametrize("degrees", [0.0, 15.0, 30.0])
@pytest.mark.parametrize("stated", ["slant", "distance"])
def test_a_tilted_gantry_adds_no_volume(tmp_path: Path, degrees: float, stated: str):
    """Slices of 9 mm on a slant: the way from voxel to voxel is longer than the distance of the slices."""
    affine = np.diag([9.0, 9.0, 6.0, 1.0])
    affine[1, 2] = 6.0 * np.tan(np.deg2rad(degrees))
    paths = {}
    for name, data in {"ctp": nifti_cases.bolus_series(), **isles2024_cases.maps(nifti_cases.SHAPE)}.items():
        paths[name] = nifti_cases.save(tmp_path / f"{name}.nii", data, affine=affine)
        if stated == "distance":
            nifti_cases.patch(paths[name], pixdim={3: 6.0})
    case = read_nifti_case("tilted", paths)
    assert case.findings == ()
    assert_allclose(case.geometry.spacing, (6.0, 9.0, 9.0), rtol=1e-6)
    assert_allclose(case.geometry.voxel_ml, 0.486, rtol=1e-6)


def test_axes_nearly_on_one_line_are_refused(isles: dict[str, Path]):
    with pytest.raises(InputError, match=PIXDIM):
        read(isles, srow_x=(9.0, 8.5, 0.0, 0.0), srow_y=(0.0, 1.0, 0.0, 0.0), srow_z=(0.0, 0.0, 6.0, 0.0))


def test_one_column_is_no_head(tmp_path: Path):
    case = nifti_cases.write_isles(tmp_path / "case_1", shape=(24, 20, 3))
    for part, path in nifti_cases.files_of(case).items():
        zooms = (9.0, 9.0, 6.0, 1.0) if part == "ctp" else (9.0, 9.0, 6.0)
        nifti_cases.save(path, nifti_cases.load(path)[:1], zooms=zooms)
    with pytest.raises(InputError, match="a field of view of 9 mm"):
        read_case(case)


def test_a_space_is_in_mm_and_knows_its_unit(isles: dict[str, Path]):
    header = nib.load(isles["ctp"]).header
    header["xyzt_units"] = 1
    header["pixdim"][1:4] = 0.009, 0.009, 0.006
    space = Space.of(header, Path("x.nii"))
    assert_allclose(space.sizes, (9.0, 9.0, 6.0), rtol=1e-6)
    assert space.unit_mm == 1000.0
