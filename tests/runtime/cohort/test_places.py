"""Results never lie where something is read, and never take the place of what ctpdeploy did not write."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.dicom_images import write_scan

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime import find_cases
from ctpdeploy.runtime.cohort.places import EARLIER, put_aside, require_places
from ctpdeploy.runtime.io.layout import case_of_files
from ctpdeploy.runtime.report.submission import SUBMISSION, Submission


@pytest.fixture
def data(tmp_path: Path, phantom_folder: Path) -> Path:
    shutil.copytree(phantom_folder / "case_1", tmp_path / "study" / "data" / "case_1")
    return tmp_path / "study" / "data"


PLACES = {
    "the cases": ".",
    "beside the cases": "results",
    "a case": "case_1",
    "in a case": "case_1/results",
    "above": "..",
    "far above": "../..",
}


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_that_is_holds_or_lies_in_an_input_is_refused(data: Path, place: str):
    with pytest.raises(UsageError, match="which is read: choose another --out"):
        require_places(find_cases(data), data / PLACES[place], inputs=[data])
    require_places(find_cases(data), data.parent / "results", inputs=[data])


@pytest.mark.parametrize("place", ["a file", "in its folder", "through a link"])
def test_files_given_are_inputs_too(data: Path, tmp_path: Path, place: str):
    files = dict(find_cases(data)[0].files)
    case = case_of_files("mine", files)
    out = {"a file": files["ctp"], "in its folder": files["ctp"].parent, "through a link": tmp_path / "out"}[place]
    if place == "through a link":
        out.mkdir()
        (out / "mine").symlink_to(files["ctp"].parent)
    with pytest.raises(UsageError, match="choose another --out"):
        require_places([case], out)
    require_places([case], files["ctp"].parent / "results")  # nothing in there is looked for by its folder


@pytest.mark.parametrize(("name", "submission"), [(EARLIER, None), (SUBMISSION, Submission("mine"))])
def test_names_of_other_results_are_no_names_of_cases(
    data: Path, tmp_path: Path, name: str, submission: Submission | None
):
    case = replace(find_cases(data)[0], name=name)
    with pytest.raises(UsageError, match=f"A case called {name} would lie where other results go"):
        require_places([case], tmp_path / "out", submission)


def test_two_cases_of_one_name_are_refused(data: Path, tmp_path: Path):
    (case,) = find_cases(data)
    with pytest.raises(UsageError, match="Two cases are called case_1"):
        require_places([case, replace(case, folder=tmp_path)], tmp_path / "out")


def test_only_results_are_put_aside_and_nothing_is_lost(tmp_path: Path, data: Path):
    assert put_aside(tmp_path, "study") is None
    assert put_aside(tmp_path / "study", "../out") is None
    assert data.is_dir()

    def result(*others: str) -> None:
        (tmp_path / "case_1").mkdir()
        for name in ("report.json", *others):
            (tmp_path / "case_1" / name).touch()

    result("notes.txt")
    aside = tmp_path / EARLIER / "case_1"
    assert put_aside(tmp_path, "case_1") == aside
    assert sorted(path.name for path in aside.iterdir()) == ["notes.txt", "report.json"]
    assert put_aside(tmp_path, "case_1") is None
    result()
    with pytest.raises(UsageError, match=r"also holds notes\.txt"):
        put_aside(tmp_path, "case_1")
    (aside / "notes.txt").unlink()
    assert put_aside(tmp_path, "case_1") == aside
    assert not (tmp_path / "case_1").exists()


def test_results_may_lie_beside_an_archive(tmp_path: Path):
    write_scan(tmp_path / "files")
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for path in (tmp_path / "files").iterdir():
            packed.write(path, path.name)
    cases = find_cases(tmp_path / "in.zip")
    require_places(cases, tmp_path / "results", inputs=[tmp_path / "in.zip"])
    with pytest.raises(UsageError, match="choose another --out"):
        require_places(cases, tmp_path / "in.zip", inputs=[tmp_path / "in.zip"])
