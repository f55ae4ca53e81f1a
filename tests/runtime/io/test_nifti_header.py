"""Headers are read as they are written; what contradicts itself is refused or said, and results hold nothing of it."""

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import isles2024_cases, nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, read_case
from ctpdeploy.runtime.io.nifti import read_volume
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.quality.plausibility import implausible
from ctpdeploy.runtime.report.submission import Submission
from ctpdeploy.runtime.report.writers import write_volume

DATA = np.rint(nifti_cases.bolus_series()).astype(np.int16)
SECRET = b"DOE^JANE"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return nifti_cases.save(tmp_path / "ctp.nii", DATA, affine=np.diag([9.0, 9.0, 6.0, 1.0]))


def packed(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    return target


def as_it_is(path: Path) -> Path:
    return path


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pack", [as_it_is, packed])
def test_both_formats_are_read_in_either_byte_order(
    tmp_path: Path, kind: type, order: str, pack: Callable[[Path], Path]
):
    affine = isles2024_cases.oblique("LPS", zooms=(9.0, 8.0, 6.0))
    image = kind(DATA, affine, kind.header_class(endianness=order))
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    nib.save(image, tmp_path / "x.nii")
    volume = read_volume(pack(tmp_path / "x.nii"))
    assert volume.findings == ()
    assert_array_equal(volume.data, DATA)
    assert_allclose(volume.space.affine, affine, atol=1e-4)
    assert_allclose(volume.header.get_best_affine(), affine, atol=1e-4)
    assert type(volume.header) is nib.Nifti1Header


BAD = {
    "offset in the header": ({"vox_offset": 348.0}, r"voxels begin at byte 348 \(vox_offset\)"),
    "no offset": ({"vox_offset": 0.0}, "voxels begin at byte 0"),
    "offset between bytes": ({"vox_offset": 352.5}, "voxels begin at byte 352.5"),
    "offset that is no number": ({"vox_offset": np.nan}, "voxels begin at byte nan"),
    "infinite offset": ({"vox_offset": np.inf}, "voxels begin at byte inf"),
    "offset behind the end": ({"vox_offset": 1e30}, "ends before the last voxel"),
    "offset too far": ({"vox_offset": 368.0}, "ends before the last voxel"),
    "pair": ({"magic": b"ni1"}, "of a .hdr and .img pair: convert the pair to one .nii file"),
    "ANALYZE": ({"magic": b""}, "no NIfTI magic"),
    "half of a header": ({"sizeof_hdr": 0}, "does not begin with a NIfTI header"),
    "NIfTI-2 by size alone": ({"sizeof_hdr": 540}, "no NIfTI magic"),
    "two axes": ({"dim": {0: 2}}, r"array of shape \(24, 20\)"),
    "nine axes": ({"dim": {0: 9}}, "not a volume of numbers"),
    "negative axes": ({"dim": {0: -4}}, "not a volume of numbers"),
    "negative extent": ({"dim": {1: -24}}, "not a volume of numbers"),
    "no slices": ({"dim": {3: 0}}, "not a volume of numbers"),
    "one frame fewer": ({"dim": {4: 39}}, "goes on behind the last voxel of 24 x 20 x 3 x 39"),
    "one column fewer": ({"dim": {1: 23}}, "goes on behind the last voxel"),
    "one frame more": ({"dim": {4: 41}}, "ends before the last voxel"),
    "more than any memory": ({"dim": {1: 32767, 2: 32767, 3: 32767}}, "ends before the last voxel"),
    "a type half as wide": ({"datatype": 2, "bitpix": 8}, "goes on behind the last voxel"),
    "a type twice as wide": ({"datatype": 16, "bitpix": 32}, "ends before the last voxel"),
    "no type": ({"datatype": 0}, "not a volume of numbers"),
    "a type that does not exist": ({"datatype": 77}, "not a complete NIfTI file"),
    "colours": ({"datatype": 128, "bitpix": 24}, "not a volume of numbers"),
    "infinite scale": ({"scl_slope": np.inf}, "scales its voxels by infinity"),
}


@pytest.mark.parametrize("pack", [as_it_is, packed])
@pytest.mark.parametrize("kind", BAD)
def test_a_header_that_describes_something_else_is_refused(file: Path, kind: str, pack: Callable[[Path], Path]):
    fields, message = BAD[kind]
    path = pack(nifti_cases.patch(file, **fields))
    with pytest.raises(InputError, match=message) as refusal:
        read_volume(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("pack", [as_it_is, packed])
@pytest.mark.parametrize("left", [1, 352, 2 * DATA[..., 0].size - 1])
def test_bytes_left_over_are_said_until_they_are_voxels(file: Path, left: int, pack: Callable[[Path], Path]):
    content = file.read_bytes()
    another = 2 * min(DATA.size // n for n in DATA.shape)  # a column more, as it happens
    file.write_bytes(content + bytes(left))
    if left < another:
        volume = read_volume(pack(file))
        assert [found.code for found in volume.findings] == ["bytes-left-over"]
        assert f"{left} bytes" in volume.findings[0].sentence
        assert_array_equal(volume.data, DATA)
    else:
        with pytest.raises(InputError, match="goes on behind the last voxel"):
            read_volume(pack(file))


def test_an_offset_too_small_for_an_extension_is_said(tmp_path: Path):
    image = nib.Nifti1Image(DATA, np.diag([9.0, 9.0, 6.0, 1.0]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x"))
    nib.save(image, tmp_path / "x.nii")
    assert read_volume(tmp_path / "x.nii").findings == ()
    nifti_cases.patch(tmp_path / "x.nii", vox_offset=352)
    assert [found.code for found in read_volume(tmp_path / "x.nii").findings] == ["bytes-left-over"]


def test_bits_that_are_not_those_of_the_type_are_said(file: Path):
    volume = read_volume(nifti_cases.patch(file, bitpix=32))
    assert [found.code for found in volume.findings] == ["bits-contradict"]
    assert_array_equal(volume.data, DATA)


@pytest.mark.parametrize("name", ["x.hdr", "x.img", "x.img.gz", "x.HDR"])
def test_a_pair_is_refused_in_one_sentence(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(bytes(400))
    with pytest.raises(InputError, match=r"one of a \.hdr and \.img pair: convert the pair to one \.nii file"):
        read_volume(tmp_path / name)


def test_nothing_of_a_header_but_its_geometry_travels(tmp_path: Path):
    """Names, descriptions and extensions of the series and of the MTT map; both headers go into results."""
    case = nifti_cases.write_isles(tmp_path / "case_7")
    for part in ("ctp", "mtt"):
        path = nifti_cases.files_of(case)[part]
        image = nib.load(path, mmap=False)
        header = image.header
        for field in ("descrip", "aux_file", "db_name", "intent_name", "data_type"):
            header[field] = SECRET
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"PatientName " + SECRET))
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, header), path)
        assert path.read_bytes().count(SECRET) == 6
    read = read_case(case)
    write_volume(tmp_path / "mask.nii.gz", np.zeros(read.series.shape[1:], np.uint8), read)
    submission = Submission("x")
    submission.admit("case_7", nifti_cases.files_of(case)["mtt"])
    files = submission.write(tmp_path / "submission", {"case_7": tmp_path / "mask.nii.gz"})
    for written in (
        gzip.decompress((tmp_path / "mask.nii.gz").read_bytes()),
        (tmp_path / "submission" / files["case_7"]).read_bytes(),
    ):
        assert SECRET not in written
        assert len(written) == 352 + DATA[..., 0].size  # no extension


@pytest.mark.parametrize("fields", [{"pixdim": {1: np.nan}}, {"pixdim": {0: 7.0, 2: -9.0}}, {"qform_code": 77}])
def test_results_need_no_repair(tmp_path: Path, fields: dict, caplog: pytest.LogCaptureFixture):
    case = nifti_cases.write_isles(tmp_path / "case_7")
    for path in nifti_cases.files_of(case).values():
        nifti_cases.patch(path, srow_x={0: 9.0}, srow_y={1: 9.0}, srow_z={2: 6.0}, **fields)
    read = read_case(case)
    write_volume(tmp_path / "mask.nii.gz", np.zeros(read.series.shape[1:], np.uint8), read)
    assert read_volume(tmp_path / "mask.nii.gz").findings == ()
    assert nib.load(tmp_path / "mask.nii.gz").header.get_zooms() == (9.0, 9.0, 6.0)
    assert not caplog.records


ODD = (0.0, -1.0, 7.0, np.nan, np.inf, -np.inf, 1e30, -1e30, 1e-30)
CODES = (-1, 0, 1, 2, 3, 5, 7, 17, 77, 32767)
MUTATIONS: list[tuple[str, object]] = [
    *(("pixdim", {axis: value}) for axis in (0, 1, 2, 3) for value in ODD),
    *(("pixdim", {4: value}) for value in ODD if value != 7.0),  # 7 s can be
    *((field, value) for field in ("vox_offset", "scl_slope") for value in ODD),
    *(("scl_inter", value) for value in (np.nan, np.inf, -np.inf, 1e30, -1e30)),  # small ones can be
    *((f"quatern_{axis}", value) for axis in "bcd" for value in ODD),
    *((f"qoffset_{axis}", value) for axis in "xyz" for value in (np.nan, np.inf, 1e30)),
    *((f"srow_{axis}", {column: value}) for axis in "xyz" for column in range(3) for value in ODD),
    *((field, value) for field in ("sform_code", "qform_code", "bitpix", "sizeof_hdr") for value in CODES),
    *(("dim", {axis: value}) for axis in range(6) for value in CODES),
    *(("datatype", value) for value in (0, 1, 2, 4, 8, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 2304)),
    *(("xyzt_units", value) for value in range(0, 256, 5)),
    *(("magic", value) for value in (b"", b"ni1", b"n+2", b"N+1")),
]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """One study with everything stated twice, and one as ISLES 2018 has it."""
    folder = tmp_path_factory.mktemp("studies")
    affine = isles2024_cases.oblique("LPS", zooms=(9.0, 8.0, 6.0))
    stated = {"ctp": nifti_cases.bolus_series(), **isles2024_cases.maps(nifti_cases.SHAPE)}
    scanned = {
        name: nifti_cases.patch(isles2024_cases.save(folder / f"{name}.nii", data, affine), xyzt_units=10)
        for name, data in stated.items()
    }
    return {"scanned": scanned, "isles": nifti_cases.files_of(nifti_cases.write_isles(folder / "case_7"))}


def said(case: Case) -> set[str]:
    return {found.code for found in (*case.findings, *implausible(case))}


@pytest.fixture(scope="module")
def known(studies: dict[str, dict[str, Path]]) -> dict[str, Case]:
    return {name: read_nifti_case(name, paths) for name, paths in studies.items()}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    study=st.sampled_from(["scanned", "isles"]),
    part=st.sampled_from(["ctp", "cbf", "tmax"]),
    mutation=st.sampled_from(MUTATIONS),
)
def test_a_mutated_field_is_refused_or_said_or_changes_nothing(
    studies: dict[str, dict[str, Path]], known: dict[str, Case], study: str, part: str, mutation: tuple[str, object]
):
    field, value = mutation
    path, expected = studies[study][part], known[study]
    content = path.read_bytes()
    try:
        case = read_nifti_case(study, _mutated(studies[study], part, field, value))
    except InputError as refusal:
        assert "\n" not in str(refusal)
        return
    finally:
        path.write_bytes(content)
    if said(case) - said(expected):
        return
    assert_array_equal(case.series, expected.series)
    for name, values in expected.maps.items():
        assert_array_equal(case.maps[name], values)
    assert_allclose(case.times, expected.times, rtol=0.01)
    assert_allclose(case.geometry.spacing, expected.geometry.spacing, rtol=0.011)
    assert case.geometry.sides_stated


def _mutated(paths: dict[str, Path], part: str, field: str, value: object) -> dict[str, Path]:
    with np.errstate(over="ignore"):
        nifti_cases.patch(paths[part], **{field: value})
    return paths
