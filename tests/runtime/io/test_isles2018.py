from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.cases import find_cases, read_case


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return nifti_cases.write_isles(tmp_path / "case_7")


def folders_of(folder: Path) -> list[Path]:
    return [case.folder for case in find_cases(folder)]


def test_every_volume_is_found_by_its_own_name(case: Path):
    files = nifti_cases.files_of(case)
    assert set(files) == {"ctp", "cbf", "cbv", "mtt", "tmax", "lesion"}
    for name, word in {"ctp": "CT_4DPWI", "cbf": "CT_CBF", "lesion": "OT"}.items():
        assert f".{word}." in files[name].name


def test_values_units_and_axes(case: Path):
    read = read_case(case)
    x, y, z = nifti_cases.SHAPE
    assert read.series.shape == (nifti_cases.FRAMES, z, y, x)
    assert read.series.dtype == np.float32
    stored = nifti_cases.maps()
    for name, file in {"cbf": "CT_CBF", "cbv": "CT_CBV"}.items():
        assert_allclose(read.maps[name], stored[file].T / 10, rtol=1e-6)
    assert_allclose(read.maps["mtt"], stored["CT_MTT"].T, rtol=1e-6)
    assert all(volume.dtype == np.float32 for volume in read.maps.values())
    assert_allclose(read.geometry.spacing, (6.0, 9.0, 9.0), rtol=1e-6)
    assert read.geometry.spacing_source == "pixdim"
    assert_array_equal(read.times, np.arange(nifti_cases.FRAMES))
    assert read.lesion is not None
    assert_array_equal(read.lesion, (stored["CT_Tmax"] > 9).T)
    assert read.dwi is None
    assert read.findings == ()


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_names_of_the_first_release_and_compression(tmp_path: Path, suffix: str):
    case = nifti_cases.write_isles(tmp_path / "case_1", prefix="MR_", suffix=suffix)
    dwi = "SMIR.Brain.XX.O.MR_DWI.339201"
    nifti_cases.save(case / dwi / f"{dwi}{suffix}", nifti_cases.bolus_series()[..., 3], zooms=(9.0, 9.0, 6.0))
    read = read_case(case)
    assert read.dwi is not None
    assert_array_equal(read.dwi, nifti_cases.bolus_series()[..., 3].T)


def test_two_slices_and_singleton_axes(tmp_path: Path):
    case = nifti_cases.write_isles(tmp_path / "case_1", shape=(24, 20, 2))
    path = nifti_cases.find(case, "CT_4DPWI")
    nifti_cases.save(path, nifti_cases.bolus_series((24, 20, 2))[:, :, :, None], zooms=(9.0, 9.0, 12.0, 1.0, 1.0))
    cbf = nifti_cases.find(case, "CT_CBF")
    nifti_cases.save(cbf, nifti_cases.maps((24, 20, 2))["CT_CBF"][..., None], zooms=(9.0, 9.0, 12.0))
    for name in ("CT_CBV", "CT_MTT", "CT_Tmax", "OT"):
        old = nifti_cases.find(case, name)
        data = nifti_cases.load(old)
        nifti_cases.save(old, data, zooms=(9.0, 9.0, 12.0))
    read = read_case(case)
    assert read.series.shape == (nifti_cases.FRAMES, 2, 20, 24)
    assert read.maps["cbf"].shape == (2, 20, 24)


def test_a_missing_frame_interval_is_one_second_and_said(case: Path):
    path = nifti_cases.find(case, "CT_4DPWI")
    content = bytearray(path.read_bytes())
    content[92:96] = np.float32(0).tobytes()  # pixdim[4]
    path.write_bytes(content)
    read = read_case(case)
    assert_array_equal(read.times, np.arange(nifti_cases.FRAMES))
    assert read.findings[0].code == "interval-assumed"
    assert "1 s is assumed" in read.findings[0].sentence


def test_milliseconds_are_recognised(case: Path):
    path = nifti_cases.find(case, "CT_4DPWI")
    nifti_cases.save(path, nifti_cases.bolus_series(), zooms=(9.0, 9.0, 6.0, 1500.0))
    assert_allclose(read_case(case).times[1], 1.5)


def test_cases_come_in_natural_order_and_without_what_archives_leave(tmp_path: Path):
    for number in (10, 2, 1):
        nifti_cases.write_isles(tmp_path / "TRAINING" / f"case_{number}")
    junk = tmp_path / "__MACOSX" / "case_1" / "._SMIR.Brain.XX.O.CT_4DPWI.1.nii"
    junk.parent.mkdir(parents=True)
    junk.write_bytes(b"x")
    nifti_cases.write_isles(tmp_path / ".case_3.x1y2.partial" / "new")  # a writer was killed
    assert [case.name for case in find_cases(tmp_path)] == ["case_1", "case_2", "case_10"]
    assert folders_of(tmp_path / "TRAINING" / "case_2") == [tmp_path / "TRAINING" / "case_2"]
    series = nifti_cases.find(tmp_path / "TRAINING" / "case_2", "CT_4DPWI")
    assert folders_of(series.parent) == [series.parent]  # nothing above what was asked for is a case


def test_linked_cases_are_found(case: Path, tmp_path: Path):
    (tmp_path / "chosen").mkdir()
    (tmp_path / "chosen" / "case_1").symlink_to(case)
    assert [case.name for case in find_cases(tmp_path / "chosen")] == ["case_1"]
    assert read_case(tmp_path / "chosen" / "case_1").identifier == "case_1"


def test_two_files_of_one_kind_are_refused(case: Path):
    nifti_cases.save(case / "again" / "SMIR.Brain.XX.O.CT_CBF.1.nii", nifti_cases.maps()["CT_CBF"])
    with pytest.raises(InputError, match="two CBF files"):
        read_case(case)


def test_words_that_only_resemble_a_modality_change_nothing(case: Path):
    """A study named after DWI, and the plain CT, whose name begins every other's."""
    path = nifti_cases.find(case, "CT_CBF")
    path.rename(path.with_name(f"EarlyDWI.{path.name}"))
    files = nifti_cases.files_of(case)
    assert files["cbf"].name.startswith("EarlyDWI.")
    assert "dwi" not in files
    assert not any(".CT." in path.name for path in files.values())


def test_an_empty_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="No case in"):
        find_cases(tmp_path)
    with pytest.raises(InputError, match="a case is known by SMIR"):
        read_case(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        find_cases(tmp_path / "nowhere")


def test_a_result_in_the_folder_of_a_case_is_not_its_dwi(case: Path):
    nifti_cases.save(case / "sub-case7_desc-pseudo_dwi.nii.gz", nifti_cases.maps()["CT_Tmax"])
    assert set(nifti_cases.files_of(case)) == {"ctp", "cbf", "cbv", "mtt", "tmax", "lesion"}
