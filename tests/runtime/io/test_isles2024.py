"""ISLES 2024: the derived set is a case with a lesion, the raw set one without, and grids never mix."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import isles2024_cases, nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.cases import find_cases, read_case
from ctpdeploy.runtime.quality.plausibility import implausible

OF_SECONDS = {"bolus-unusual", "durations-contradict"}
"""Found where the seconds of a header are not those of the bolus and the maps."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return isles2024_cases.write_subject(tmp_path / "train")


def folders_of(folder: Path) -> list[Path]:
    return [case.folder for case in find_cases(folder)]


def to_ras(volume: np.ndarray) -> np.ndarray:
    """From the test files' axes, nearest to LPS, to ``(D, H, W)``."""
    return volume[::-1, ::-1].T


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"lesion_space": ""},
        {"subject": "sub-strokecase0001", "raw": "rawdata", "sessions": ("ses-0001", "ses-0002"), "lesion_space": ""},
        {"sessions": ("ses-0001", "ses-02")},
    ],
)
def test_a_subject_is_one_case_with_its_lesion_and_dwi_in_the_space_of_the_plain_ct(tmp_path: Path, names: dict):
    _, derived = isles2024_cases.write_subject(tmp_path / "train", **names)
    assert folders_of(tmp_path) == [derived]
    case = read_case(derived)
    assert case.identifier == names.get("subject", "sub-stroke0001")
    assert_array_equal(case.series[4], to_ras(nifti_cases.bolus_series(isles2024_cases.NCCT_SHAPE)[..., 4]))
    assert case.lesion is not None
    assert_array_equal(case.lesion, to_ras(isles2024_cases.lesion(isles2024_cases.NCCT_SHAPE)) > 0)
    assert case.dwi is not None
    assert_array_equal(case.dwi, to_ras(nifti_cases.bolus_series(isles2024_cases.NCCT_SHAPE)[..., 3]))
    assert_allclose(case.geometry.spacing, (5.0, 4.5, 4.5), rtol=1e-5)
    assert case.geometry.spacing_source == "affine"
    assert case.findings == implausible(case) == ()


@pytest.mark.parametrize("which", ["derived", "raw"])
def test_a_lesion_named_for_another_space_is_no_second_one(folders: tuple[Path, Path], which: str):
    """Beside the one of the case's own space; alone it is the lesion, whatever its name."""
    raw, derived = folders
    folder, own, other = (derived, "_space-ncct", "") if which == "derived" else (raw, "", "_space-ncct")
    for space in (own, other):
        path = folder / "ses-02" / f"sub-stroke0001_ses-02{space}_lesion-msk.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        (case,) = find_cases(folder)
        assert not case.fault
    assert case.files["lesion"].name == f"sub-stroke0001_ses-02{own}_lesion-msk.nii.gz"
    case.files["lesion"].unlink()
    assert find_cases(folder)[0].files["lesion"].name == f"sub-stroke0001_ses-02{other}_lesion-msk.nii.gz"


def test_maps_are_in_their_units_and_zero_outside_the_brain(folders: tuple[Path, Path]):
    for folder, shape in zip(folders, (isles2024_cases.RAW_SHAPE, isles2024_cases.NCCT_SHAPE), strict=True):
        read, stored = read_case(folder).maps, isles2024_cases.maps(shape)
        assert stored["tmax"].min() == isles2024_cases.BACKGROUND_TMAX
        for name, values in stored.items():
            assert_array_equal(read[name], to_ras(np.where(values > 0, values, 0)))


def test_whole_numbers_are_whole_units(folders: tuple[Path, Path]):
    """Tenths are ISLES 2018's."""
    path = nifti_cases.files_of(folders[1])["cbf"]
    stored = np.rint(isles2024_cases.maps(isles2024_cases.NCCT_SHAPE)["cbf"]).astype(np.int16)
    isles2024_cases.save(path, stored, isles2024_cases.oblique())
    assert_array_equal(read_case(folders[1]).maps["cbf"], to_ras(stored))


def test_the_raw_set_is_a_case_without_lesion_and_without_the_dwi_of_another_grid(folders: tuple[Path, Path]):
    raw, _ = folders
    assert folders_of(raw.parent) == [raw]
    assert set(nifti_cases.files_of(raw)) == {"ctp", "cbf", "cbv", "mtt", "tmax"}
    case = read_case(raw)
    assert case.lesion is None
    assert case.dwi is None
    assert_allclose(case.geometry.spacing, (5.0, 9.0, 9.0), rtol=1e-5)


def test_the_raw_set_stands_in_where_no_series_is_derived(tmp_path: Path):
    raw, _ = isles2024_cases.write_subject(tmp_path / "train", "sub-stroke0002", derived=False)
    _, derived = isles2024_cases.write_subject(tmp_path / "train", "sub-stroke0010")
    other = isles2024_cases.write_subject(tmp_path / "elsewhere", "sub-stroke0002")[1]
    assert set(folders_of(tmp_path)) == {raw, derived, other}
    assert folders_of(tmp_path / "train" / "derivatives") == [derived]


@pytest.mark.parametrize("inside", ["", "ses-01"])
def test_a_subject_or_its_session_can_be_named(folders: tuple[Path, Path], inside: str):
    for folder in folders:
        assert folders_of(folder / inside) == [folder]


def test_a_tree_can_be_named_from_within(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(folders[1].parents[1])
    assert folders_of(Path()) == [Path("derivatives/sub-stroke0001")]
    monkeypatch.chdir(folders[1])
    assert [case.name for case in find_cases(Path())] == ["sub-stroke0001"]


@pytest.mark.usefixtures("folders")
def test_where_both_sets_lie_in_one_folder_the_derived_one_is_taken_whole(tmp_path: Path):
    together = tmp_path / "sub-stroke0001"
    together.mkdir()
    for path in tmp_path.glob("train/*/*/**/*.nii.gz"):
        path.rename(together / path.name)
    assert folders_of(together) == [together]
    files = nifti_cases.files_of(together)
    assert set(files) == {"ctp", "cbf", "cbv", "mtt", "tmax", "dwi", "lesion"}
    assert all("space-ncct" in path.name for path in files.values())


@pytest.mark.parametrize(
    ("part", "shape", "shift", "message"),
    [
        ("lesion", isles2024_cases.MR_SHAPE, (0, 0, 0), "has shape"),
        ("dwi", isles2024_cases.MR_SHAPE, (0, 0, 0), "has shape"),
        ("lesion", isles2024_cases.NCCT_SHAPE, (2.6, 0, 0), "lies up to 2.6 mm away"),
        ("dwi", isles2024_cases.NCCT_SHAPE, (0, 0, 3.0), "lies up to 3.0 mm away"),
    ],
)
def test_a_lesion_or_dwi_on_another_grid_is_refused_in_a_sentence(
    folders: tuple[Path, Path], part: str, shape: tuple[int, int, int], shift: tuple[float, ...], message: str
):
    path = nifti_cases.files_of(folders[1])[part]
    affine = isles2024_cases.oblique()
    affine[:3, 3] += shift
    isles2024_cases.save(path, np.ones(shape, np.uint8), affine)
    with pytest.raises(InputError) as refusal:
        read_case(folders[1])
    assert str(path) in str(refusal.value)
    assert message in str(refusal.value)
    assert "onto" in str(refusal.value)


def test_a_turned_lesion_is_refused(folders: tuple[Path, Path]):
    path = nifti_cases.files_of(folders[1])["lesion"]
    isles2024_cases.save(
        path, isles2024_cases.lesion(isles2024_cases.NCCT_SHAPE), isles2024_cases.oblique(degrees=21.0)
    )
    with pytest.raises(InputError, match="away from the series"):
        read_case(folders[1])


@pytest.mark.parametrize("part", ["lesion", "dwi"])
def test_what_is_put_beside_the_raw_series_is_not_overlooked(folders: tuple[Path, Path], part: str):
    raw, derived = folders
    path = nifti_cases.files_of(derived)[part]
    path.rename(raw / path.name)
    with pytest.raises(InputError, match=r"space-ncct.* has shape .*resample it onto the series"):
        read_case(raw)


def test_rounded_affines_are_the_same_grid(folders: tuple[Path, Path]):
    path = nifti_cases.files_of(folders[1])["lesion"]
    affine = isles2024_cases.oblique()
    affine[:3, 3] += 0.1
    isles2024_cases.save(path, isles2024_cases.lesion(isles2024_cases.NCCT_SHAPE), affine)
    assert read_case(folders[1]).lesion is not None


def test_masks_that_read_almost_one_are_lesion(folders: tuple[Path, Path]):
    truth = isles2024_cases.lesion(isles2024_cases.NCCT_SHAPE)
    isles2024_cases.save(
        nifti_cases.files_of(folders[1])["lesion"], truth * np.float32(0.9999), isles2024_cases.oblique()
    )
    lesion = read_case(folders[1]).lesion
    assert lesion is not None
    assert_array_equal(lesion, to_ras(truth) > 0)


def test_two_lesions_in_one_space_are_refused(folders: tuple[Path, Path]):
    path = nifti_cases.files_of(folders[1])["lesion"]
    path.with_name(path.name.replace("_ses-02", "_ses-03")).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="two LESION files"):
        read_case(folders[1])


def test_a_missing_map_is_named(folders: tuple[Path, Path]):
    nifti_cases.files_of(folders[1])["mtt"].unlink()
    with pytest.raises(InputError, match="sub-stroke0001 lacks MTT"):
        read_case(folders[1])


def test_a_truncated_series_is_named(folders: tuple[Path, Path]):
    path = nifti_cases.files_of(folders[1])["ctp"]
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"space-ncct_ctp\.nii\.gz is not a complete NIfTI file"):
        read_case(folders[1])


def test_swapped_names_are_noticed(folders: tuple[Path, Path]):
    files = nifti_cases.files_of(folders[1])
    spare = files["cbf"].with_name("spare")
    files["cbf"].rename(spare)
    files["cbv"].rename(files["cbf"])
    spare.rename(files["cbv"])
    assert any(found.code == "maps-contradict" for found in implausible(read_case(folders[1])))


@pytest.mark.parametrize(("step", "seconds"), [(1000.0, 1.0), (1500.0, 1.5), (1.0, 1.0), (2.5, 2.5)])
@pytest.mark.parametrize("unit", ["sec", "msec", "unknown"])
def test_frame_times_are_seconds_whatever_the_header_counts_in(tmp_path: Path, step: float, seconds: float, unit: str):
    raw, _ = isles2024_cases.write_subject(tmp_path, derived=False, step=step)
    path = nifti_cases.files_of(raw)["ctp"]
    image = nib.load(path, mmap=False)
    image.header.set_xyzt_units("mm", unit)
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), path)
    assert nib.load(path).header.get_xyzt_units()[1] == unit
    case = read_case(raw)
    assert_allclose(case.times[:2], [0.0, seconds])
    believed = unit == ("msec" if step > 10 else "sec")
    assert case.interval_source == ("xyzt_units" if believed else "pixdim")
    contradicted = not believed and unit != "unknown"
    said = [found.code for found in case.findings if found.code not in OF_SECONDS]
    assert said == ["interval-unit-contradicts"] * contradicted


def test_a_session_named_from_within_is_its_subject(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(next(folders[1].rglob("*_ctp.nii.gz")).parent)
    (case,) = find_cases(Path())
    assert case.name == folders[1].name
    assert set(case.files) == set(nifti_cases.files_of(folders[1]))
