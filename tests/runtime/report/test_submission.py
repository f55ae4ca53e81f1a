"""What is uploaded to ISLES 2018: names, headers and values, whole or not at all."""

import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support import nifti_cases

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.io.cases import read_case
from ctpdeploy.runtime.report.submission import Submission
from ctpdeploy.runtime.report.writers import write_volume

MTT_ID = 987001 + 13 * 3  # the fourth volume that studies writes


def write_mask(case: Path, mask: Path) -> Path:
    """A result as infer leaves it."""
    read = read_case(case)
    write_volume(mask, (read.maps["tmax"] > 9).astype(np.uint8), read)
    return mask


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return nifti_cases.write_isles(tmp_path / "TESTING" / "case_7")


@pytest.fixture
def mask(case: Path, tmp_path: Path) -> Path:
    return write_mask(case, tmp_path / "mask.nii.gz")


def test_a_mask_has_the_name_the_header_and_the_voxels_of_the_mtt_map(case: Path, mask: Path, tmp_path: Path):
    submission = Submission("my_result-01")
    mtt = nifti_cases.files_of(case)["mtt"]
    assert f"CT_MTT.{MTT_ID}.nii" in mtt.name
    submission.admit("case_7", mtt)
    files = submission.write(tmp_path / "submission", {"case_7": mask})
    assert files == {"case_7": f"SMIR.my_result-01.{MTT_ID}.nii"}
    written, source = nib.load(tmp_path / "submission" / files["case_7"]), nib.load(mtt)
    assert written.get_data_dtype() == np.uint8
    values = np.asanyarray(written.dataobj)
    assert values.dtype == np.uint8
    assert_array_equal(values, nifti_cases.maps()["CT_Tmax"].astype(np.float32) > 9)
    assert 0 < values.sum() < values.size
    assert_array_equal(written.affine, np.eye(4))
    for field in ("dim", "pixdim", "sform_code", "qform_code", "xyzt_units", "srow_x", "quatern_b"):
        assert_array_equal(written.header[field], source.header[field])
    size = (tmp_path / "submission" / files["case_7"]).stat().st_size
    assert size == 352 + values.size  # uncompressed


def test_the_archive_holds_the_masks_and_nothing_else(case: Path, mask: Path, tmp_path: Path):
    other = nifti_cases.write_isles(case.parent / "case_8")
    path = nifti_cases.files_of(other)["mtt"]
    path.rename(path.with_name("SMIR.Brain.XX.O.CT_MTT.123456.nii"))
    submission = Submission("first")
    for folder in (case, other):
        submission.admit(folder.name, nifti_cases.files_of(folder)["mtt"])
    masks = {"case_7": mask, "case_8": write_mask(other, tmp_path / "other.nii.gz")}
    files = submission.write(tmp_path / "submission", masks)
    assert {path.name for path in (tmp_path / "submission").iterdir()} == {"first.zip", *files.values()}
    with zipfile.ZipFile(tmp_path / "submission" / "first.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"SMIR.first.{MTT_ID}.nii", "SMIR.first.123456.nii"]
        for name in archive.namelist():
            assert archive.read(name) == (tmp_path / "submission" / name).read_bytes()


def test_singleton_axes_and_compression_of_the_map_are_not_taken_over(case: Path, mask: Path, tmp_path: Path):
    path = nifti_cases.files_of(case)["mtt"]
    packed = path.with_name(path.name + ".gz")
    nifti_cases.save(packed, nifti_cases.maps()["CT_MTT"][..., None], zooms=(9.0, 9.0, 6.0))
    submission = Submission("x")
    submission.admit("case_7", packed)
    files = submission.write(tmp_path / "submission", {"case_7": mask})
    assert files == {"case_7": f"SMIR.x.{MTT_ID}.nii"}
    assert nib.load(tmp_path / "submission" / files["case_7"]).shape == nifti_cases.SHAPE


@pytest.mark.parametrize("name", ["", "a.b", "a b", "../a", "a/b", "café", "a\n"])
def test_names_that_the_challenge_would_split_are_refused(name: str):
    with pytest.raises(UsageError, match="no name for a submission"):
        Submission(name)


@pytest.mark.parametrize(
    ("mtt", "found"),
    [
        (None, "it has no MTT map"),
        ("mtt.nii", r"called mtt\.nii"),
        ("SMIR.Brain.XX.O.CT_MTT.34556.nii", "CT_MTT.34556"),
        ("SMIR.Brain.XX.O.CT_MTT.3455612.nii", "CT_MTT.3455612"),
        ("sub-stroke0001_ses-01_space-ncct_mtt.nii.gz", "space-ncct_mtt"),
    ],
)
def test_a_case_without_an_id_is_not_admitted(mtt: str | None, found: str):
    with pytest.raises(InputError, match=f"case_7 cannot be submitted, since .*{found}") as refusal:
        Submission("x").admit("case_7", Path(mtt) if mtt else None)
    assert "\n" not in str(refusal.value)


def test_two_cases_with_one_id_are_not_admitted():
    submission = Submission("x")
    submission.admit("case_1", Path("a/SMIR.Brain.XX.O.CT_MTT.345565.nii"))
    submission.admit("case_1", Path("a/SMIR.Brain.XX.O.CT_MTT.345565.nii"))
    with pytest.raises(InputError, match="case_2 and case_1 have the same MTT id 345565"):
        submission.admit("case_2", Path("b/SMIR.Brain.XX.O.CT_MTT.345565.nii"))


def test_a_mask_of_another_shape_is_refused_and_the_earlier_submission_stays(case: Path, mask: Path, tmp_path: Path):
    submission = Submission("x")
    submission.admit("case_7", nifti_cases.files_of(case)["mtt"])
    submission.write(tmp_path / "submission", {"case_7": mask})
    before = {path.name: path.read_bytes() for path in (tmp_path / "submission").iterdir()}
    nifti_cases.save(mask, np.ones((24, 20, 2), np.uint8))
    with pytest.raises(InputError, match=r"mask\.nii\.gz has shape \(24, 20, 2\), .*infer again"):
        submission.write(tmp_path / "submission", {"case_7": mask})
    assert {path.name: path.read_bytes() for path in (tmp_path / "submission").iterdir()} == before
    assert not list(tmp_path.glob(".*"))


def test_nothing_half_written_stays(case: Path, mask: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    submission = Submission("x")
    submission.admit("case_7", nifti_cases.files_of(case)["mtt"])
    monkeypatch.setattr("zipfile.ZipFile.write", fail)
    with pytest.raises(OSError, match="no space"):
        submission.write(tmp_path / "submission", {"case_7": mask})
    assert {path.name for path in tmp_path.iterdir()} == {"TESTING", "mask.nii.gz"}
