"""Bad input is expected input: each kind is refused in one sentence that names the file."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from support import nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import PerfusionConfig, case_from_arrays, perfusion_maps
from ctpdeploy.runtime.data.case import MAP_NAMES, Case
from ctpdeploy.runtime.io.cases import read_case
from ctpdeploy.runtime.io.layout import case_of_files
from ctpdeploy.runtime.io.nifti import read_volume
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.perfusion.brain import tissue
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess
from ctpdeploy.runtime.quality.plausibility import implausible


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return nifti_cases.write_isles(tmp_path / "case_7")


def with_value(value: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = nifti_cases.load(path).astype(np.float32)
        data[3, 4, 1] = value
        nifti_cases.save(path, data, zooms=(9.0, 9.0, 6.0))

    return spoil


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def truncate_compressed(path: Path) -> None:
    packed = path.with_suffix(".nii.gz")
    nib.save(nib.load(path), packed)
    path.unlink()
    truncate(packed)


def text(path: Path) -> None:
    path.write_text("this is not an image\n" * 40)


def absurd_size(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([32000, 32000, 32000], dtype="<i2").tobytes()
    path.write_bytes(content)


def with_affine(affine: np.ndarray) -> Callable[[Path], None]:
    """Patch the sform: nibabel would not write some of these."""

    def spoil(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[254:256] = np.int16(2).tobytes()  # sform_code
        content[280:328] = affine[:3].astype("<f4").tobytes()
        path.write_bytes(content)

    return spoil


PARALLEL = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])

BAD = {
    "NaN": ("CT_MTT", with_value(np.nan), "NaN or infinity in 1 voxels"),
    "infinity": ("CT_Tmax", with_value(np.inf), "NaN or infinity"),
    "truncated series": ("CT_4DPWI", truncate, "not a complete NIfTI file"),
    "truncated map": ("CT_CBV", truncate, "not a complete NIfTI file"),
    "truncated gzip": ("CT_CBV", truncate_compressed, "not a complete NIfTI file"),
    "text": ("CT_CBF", text, "not a complete NIfTI file"),
    "empty": ("CT_CBF", lambda path: path.write_bytes(b""), "not a complete NIfTI file"),
    "absurd header": ("CT_CBF", absurd_size, "not a complete NIfTI file"),
    "other shape": ("CT_Tmax", lambda path: nifti_cases.save(path, np.ones((24, 20, 2))), "has shape (24, 20, 2)"),
    "3D series": ("CT_4DPWI", lambda path: nifti_cases.save(path, np.ones(nifti_cases.SHAPE)), "is one 3D volume"),
    "one frame": (
        "CT_4DPWI",
        lambda path: nifti_cases.save(path, np.ones((*nifti_cases.SHAPE, 1))),
        "at least two frames",
    ),
    "other voxels": (
        "CT_MTT",
        lambda path: nifti_cases.save(path, nifti_cases.maps()["CT_MTT"], zooms=(8.0, 8.0, 6.0)),
        "other axes or voxel sizes",
    ),
    "mirrored": (
        "CT_MTT",
        lambda path: nifti_cases.save(path, nifti_cases.maps()["CT_MTT"], affine=np.diag([-9.0, 9.0, 6.0, 1.0])),
        "other axes or voxel sizes",
    ),
    "two dimensions": ("CT_CBF", lambda path: nifti_cases.save(path, np.ones((24, 20))), "at least three axes"),
    "colour": (
        "CT_CBF",
        lambda path: nifti_cases.save(path, np.zeros(nifti_cases.SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])),
        "not a volume of numbers",
    ),
    "series without directions": ("CT_4DPWI", with_affine(PARALLEL), "gives its axes no directions"),
    "map without directions": ("CT_CBV", with_affine(PARALLEL), "gives its axes no directions"),
    "axis without length": ("CT_4DPWI", with_affine(np.diag([1.0, 0.0, 1.0, 1.0])), "gives its axes no directions"),
    "affine that is no number": ("CT_CBV", with_affine(np.full((3, 4), np.nan)), "gives its axes no directions"),
    "missing map": ("CT_MTT", lambda path: path.unlink(), "lacks MTT"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_by_name(case: Path, kind: str):
    modality, spoil, message = BAD[kind]
    spoil(nifti_cases.find(case, modality))
    with pytest.raises(InputError) as refusal:
        read_case(case)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert (modality if kind != "missing map" else "case_7") in str(refusal.value)


def test_a_study_without_series_is_refused(case: Path):
    files = nifti_cases.files_of(case)
    del files["ctp"]
    with pytest.raises(InputError, match="no raw CT perfusion series"):
        read_nifti_case("case_7", files)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"nowhere\.nii does not exist"):
        read_volume(tmp_path / "nowhere.nii")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 351), value=st.integers(0, 255), length=st.integers(300, 1800))
def test_a_damaged_header_is_read_or_refused_but_never_crashes(tmp_path: Path, position: int, value: int, length: int):
    path = nifti_cases.save(tmp_path / "map.nii", np.ones((8, 7, 3), dtype=np.float64), zooms=(1.0, 1.0, 5.0))
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content[:length])
    try:
        assert np.isfinite(read_volume(path).data).all()
    except InputError as refusal:
        assert "map.nii" in str(refusal)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(40, 351), value=st.integers(0, 255))
def test_a_damaged_series_is_read_or_refused_but_never_crashes(tmp_path: Path, position: int, value: int):
    path = nifti_cases.save(tmp_path / "ctp.nii", np.ones((8, 7, 3, 4), dtype=np.int16), zooms=(1.0, 1.0, 5.0, 1.0))
    content = bytearray(path.read_bytes())
    content[position] = value
    path.write_bytes(content)
    try:
        assert read_volume(path).clock.interval().seconds > 0
    except InputError as refusal:
        assert "ctp.nii" in str(refusal)


def test_a_frame_interval_with_a_unit_that_does_not_exist_is_read(case: Path):
    path = nifti_cases.find(case, "CT_4DPWI")
    content = bytearray(path.read_bytes())
    content[123] = 63  # xyzt_units
    path.write_bytes(content)
    assert_array_equal(read_case(case).times, np.arange(nifti_cases.FRAMES))


def with_background(tmp_path: Path, background: dict[str, float]) -> Case:
    """A case whose maps hold given numbers outside the brain."""
    affine = np.diag([9.0, 9.0, 6.0, 1.0])
    paths = {"ctp": nifti_cases.save(tmp_path / "ctp.nii", nifti_cases.bolus_series(), affine=affine)}
    stored = {name[3:].lower(): data.astype(np.float32) for name, data in nifti_cases.maps().items()}
    outside = stored["mtt"] == 0
    assert 0.1 < outside.mean() < 0.9
    for name, values in stored.items():
        values[outside] = background.get(name, 0.0)
        paths[name] = nifti_cases.save(tmp_path / f"{name}.nii", values, affine=affine)
    return read_nifti_case("case", paths)


@pytest.mark.parametrize(
    "background", [{"tmax": -30.0}, {"tmax": -1.0}, {"cbf": -1024.0, "cbv": -1024.0, "mtt": -1.0, "tmax": -30.0}]
)
def test_negative_numbers_outside_the_brain_are_background_everywhere(tmp_path: Path, background: dict[str, float]):
    """ISLES 2024 writes -30 into Tmax there: nothing that is made of the maps may differ from one with zeros."""
    marked, plain = with_background(tmp_path, background), with_background(tmp_path, {})
    for name in MAP_NAMES:
        assert_array_equal(marked.maps[name], plain.maps[name])
    config = PreprocessConfig(slice_shape=(32, 32))
    assert_array_equal(preprocess(marked, config)[0].features, preprocess(plain, config)[0].features)
    assert_array_equal(threshold_rule(marked), threshold_rule(plain))
    assert_array_equal(tissue(marked), tissue(plain))
    assert implausible(marked) == implausible(plain)


def test_volumes_that_lie_elsewhere_are_refused(tmp_path: Path):
    affine = np.diag([9.0, 9.0, 6.0, 1.0])
    moved = affine.copy()
    moved[0, 3] = 5.0
    series = nifti_cases.save(tmp_path / "ctp.nii", nifti_cases.bolus_series(), affine=affine)
    paths = {"ctp": series}
    for name, data in nifti_cases.maps().items():
        where = moved if name == "CT_CBV" else affine
        paths[name[3:].lower()] = nifti_cases.save(tmp_path / f"{name}.nii", data, affine=where)
    with pytest.raises(InputError, match=r"CT_CBV\.nii lies up to 5\.0 mm away from the series ctp\.nii"):
        read_nifti_case("moved", paths)


def test_any_orientation_of_the_file_gives_the_same_case(tmp_path: Path):
    """Stored left to right or right to left, in any order of axes: the case has one orientation."""
    ras = nib.Nifti1Image(nifti_cases.bolus_series(), np.diag([9.0, 8.0, 27.0, 1.0]))
    paths = {"ctp": tmp_path / "ras.nii", **explicit_maps(tmp_path, ras.affine, "ras")}
    nib.save(ras, paths["ctp"])
    expected = read_nifti_case("ras", paths)
    assert_allclose(expected.geometry.spacing, (27.0, 8.0, 9.0), rtol=1e-6)
    for codes in ("LPS", "LAS", "RSA", "PIR"):
        transform = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(codes)
        )
        turned = {"ctp": tmp_path / f"{codes}.nii"}
        nib.save(ras.as_reoriented(transform), turned["ctp"])
        for name in ("cbf", "cbv", "mtt", "tmax"):
            turned[name] = tmp_path / f"{codes}_{name}.nii"
            nib.save(nib.load(paths[name]).as_reoriented(transform), turned[name])
        read = read_nifti_case(codes, turned)
        assert_array_equal(read.series, expected.series)
        assert_array_equal(read.maps["tmax"], expected.maps["tmax"])
        assert_allclose(read.geometry.spacing, expected.geometry.spacing)
        stored = nifti_cases.load(turned["tmax"])
        assert_array_equal(read.geometry.to_source(read.maps["tmax"]), stored.astype(np.float32))


def explicit_maps(folder: Path, affine: np.ndarray, prefix: str) -> dict[str, Path]:
    return {
        name[3:].lower(): nifti_cases.save(folder / f"{prefix}_{name}.nii", data, affine=affine)
        for name, data in nifti_cases.maps().items()
    }


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "dtype"),
    [
        (np.int16, 1.0, 0.0, np.int16),
        (np.int16, 1.0, -1024.0, np.int16),
        (np.uint16, 1.0, -1024.0, np.int16),
        (np.int16, 0.5, -1024.0, np.float32),
        (np.int32, 1.0, 0.0, np.float32),
        (np.float64, 1.0, 0.0, np.float32),
    ],
)
def test_series_of_small_whole_hu_are_int16_and_others_float32(
    tmp_path: Path, stored: type, slope: float, intercept: float, dtype: type
):
    affine = np.diag([9.0, 9.0, 6.0, 1.0])
    hu = np.rint(nifti_cases.bolus_series())
    path = nifti_cases.save(tmp_path / "ctp.nii", ((hu - intercept) / slope).astype(stored), affine=affine)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
    path.write_bytes(content)
    series = read_nifti_case("a", {**explicit_maps(tmp_path, affine, "x"), "ctp": path}).series
    assert series.dtype == dtype
    assert_array_equal(series, np.transpose(hu, (3, 2, 1, 0)))


def test_integer_maps_are_tenths_unless_their_header_scales_them(tmp_path: Path):
    affine = np.diag([9.0, 9.0, 6.0, 1.0])
    paths = explicit_maps(tmp_path, affine, "x")
    paths["ctp"] = nifti_cases.save(tmp_path / "ctp.nii", nifti_cases.bolus_series(), affine=affine)
    tenths = read_nifti_case("a", paths).maps["cbf"]
    assert_allclose(tenths, nifti_cases.maps()["CT_CBF"].T / 10, rtol=1e-6)
    content = bytearray(paths["cbf"].read_bytes())
    for slope, intercept in ((2.0, 0.0), (1.0, -1.0)):
        content[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
        paths["cbf"].write_bytes(content)
        expected = np.maximum(slope * nifti_cases.maps()["CT_CBF"].T + intercept, 0.0)
        assert_array_equal(read_nifti_case("a", paths).maps["cbf"], expected)


def test_masks_that_read_almost_one_are_lesion(case: Path):
    path = nifti_cases.find(case, "OT")
    truth = nifti_cases.load(path)
    nifti_cases.save(path, truth * 0.9999, zooms=(9.0, 9.0, 6.0))
    lesion = read_case(case).lesion
    assert lesion is not None
    assert_array_equal(lesion, truth.T.astype(bool))


def test_without_any_map_they_are_computed_from_the_series(phantom_folder: Path):
    folder = phantom_folder / "case_2"
    given = read_case(folder)
    computed = read_nifti_case("raw", {"ctp": nifti_cases.files_of(folder)["ctp"]})
    assert "maps-computed" in {found.code for found in computed.findings}
    brain = (given.maps["cbf"] > 0) & (computed.maps["cbf"] > 0)
    assert brain.mean() > 0.1
    assert np.corrcoef(given.maps["tmax"][brain], computed.maps["tmax"][brain])[0, 1] > 0.8


def test_maps_are_computed_as_whoever_reads_the_case_says(phantom_folder: Path):
    files = {"ctp": nifti_cases.files_of(phantom_folder / "case_2")["ctp"]}
    ref, onset = case_of_files("raw", files), PerfusionConfig(tmax="onset")
    usual, other = ref.read(), ref.read(onset)
    assert (usual.perfusion, other.perfusion) == (PerfusionConfig(), onset)
    expected = perfusion_maps(other.series, other.times, other.geometry.spacing, onset).maps
    assert_array_equal(other.maps["tmax"], expected["tmax"])
    assert (usual.maps["tmax"] != other.maps["tmax"]).any()
    arrays = case_from_arrays(other.series, other.times, spacing=other.geometry.spacing, perfusion=onset)
    assert arrays.perfusion == onset
    assert_array_equal(arrays.maps["tmax"], expected["tmax"])
    assert read_case(phantom_folder / "case_2", onset).perfusion is None, "it has maps of its own"


def test_a_series_that_gives_no_maps_is_refused_by_name(tmp_path: Path):
    no_artery = nifti_cases.bolus_series()  # all of it rises at once
    path = nifti_cases.save(tmp_path / "tissue.nii", no_artery, affine=np.diag([9.0, 9.0, 6.0, 1.0]))
    with pytest.raises(InputError, match=r"tissue\.nii gives no perfusion maps. No artery"):
        read_nifti_case("tissue", {"ctp": path})
    still = np.full((*nifti_cases.SHAPE, nifti_cases.FRAMES), 40.0, dtype=np.float32)
    path = nifti_cases.save(tmp_path / "still.nii", still, affine=np.diag([9.0, 9.0, 6.0, 1.0]))
    with pytest.raises(InputError, match=r"still\.nii is refused \(series-without-bolus\)"):
        read_nifti_case("still", {"ctp": path})
