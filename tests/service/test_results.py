from pathlib import Path

import pytest
from support.sealed_results import write_result

from ctpdeploy.errors import InputError
from ctpdeploy.service import results_in
from ctpdeploy.service.results import open_result


def test_a_folder_of_results_or_one_of_them(tmp_path: Path):
    for name in ("case_2", "case_1"):
        write_result(tmp_path, name)
    write_result(tmp_path / "earlier", "case_1")
    (tmp_path / "submission").mkdir()
    assert [one.name for one in results_in(tmp_path)] == ["case_1", "case_2"]
    assert results_in(tmp_path / "case_2") == [tmp_path / "case_2"]


@pytest.mark.parametrize("place", [".", "nowhere", "file"])
def test_where_there_is_none_that_is_said(tmp_path: Path, place: str):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"holds no results|cannot be read"):
        results_in(tmp_path / place)


def test_a_whole_result_has_its_objects_with_their_digests(tmp_path: Path):
    result = open_result(write_result(tmp_path))
    assert [one.path.name for one in result.instances] == ["overview.dcm", "report.dcm", "segmentation.dcm"]
    assert set(result.sha256) == {one.uid for one in result.instances}
    assert open_result(write_result(tmp_path, "nifti", ())).instances == ()


@pytest.mark.parametrize("fault", ["no seal", "changed", "missing", "new", "report", "seal"])
def test_what_is_not_whole_is_refused(tmp_path: Path, fault: str):
    folder = write_result(tmp_path)
    match fault:
        case "no seal":
            (folder / "digests.json").unlink()
        case "changed":
            (folder / "dicom" / "report.dcm").write_bytes(b"another")
        case "missing":
            (folder / "dicom" / "report.dcm").unlink()
        case "new":
            (folder / "dicom" / "tmax.dcm").write_bytes((folder / "dicom" / "report.dcm").read_bytes())
        case "report":
            (folder / "report.json").write_text("{}")
        case "seal":
            (folder / "digests.json").write_text("[]")
    with pytest.raises(InputError, match="no seal" if fault == "no seal" else "does not match its seal"):
        open_result(folder)
