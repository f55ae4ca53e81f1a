"""One entry for all layouts, and what cases hold by the names of their files."""

import os
import re
from pathlib import Path

import pytest
from support import isles2024_cases, nifti_cases

from ctpdeploy import runtime
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.cases import LAYOUTS, find_cases, read_case, take_inventory
from ctpdeploy.runtime.io.layout import case_of_files

MODALITIES = ("CT_4DPWI", "CT", "CT_CBF", "CT_CBV", "CT_MTT", "OT", "CT_Tmax")


def touch(*paths: Path) -> None:
    """Files that no reader could open."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def touch_isles2018(folder: Path, *modalities: str) -> Path:
    for modality in modalities or MODALITIES:
        stem = f"SMIR.Brain.XX.O.{modality}.345561"
        touch(folder / stem / f"{stem}.nii")
    return folder


def test_a_tree_may_hold_several_layouts(tmp_path: Path):
    old = nifti_cases.write_isles(tmp_path / "a" / "case_7")
    raw, new = isles2024_cases.write_subject(tmp_path / "b")
    assert [case.folder for case in find_cases(tmp_path)] == [old, new]
    assert [read_case(folder).identifier for folder in (old, raw, new)] == [
        "case_7",
        "sub-stroke0001",
        "sub-stroke0001",
    ]
    assert runtime.find_cases is find_cases
    assert runtime.read_case is read_case


def test_series_of_two_layouts_in_one_folder_are_refused(tmp_path: Path):
    folder = touch_isles2018(tmp_path / "case_1")
    touch(folder / "sub-stroke0001_ses-01_ctp.nii.gz")
    with pytest.raises(InputError, match="series of ISLES 2018 and ISLES 2024"):
        take_inventory(find_cases(folder))
    with pytest.raises(InputError, match="give each case a folder of its own"):
        read_case(folder)


def test_what_is_looked_for_is_said(tmp_path: Path):
    touch(tmp_path / "ctp.nii.gz", tmp_path / "sub-x_ses-01_ncct.nii.gz", tmp_path / "SMIR.Brain.XX.O.OT.1.nii")
    for read in (find_cases, read_case):
        with pytest.raises(InputError) as refusal:
            read(tmp_path)
        for name, layout in LAYOUTS.items():
            assert f"{layout.EXAMPLE} ({name})" in str(refusal.value)


def test_an_example_is_a_case(tmp_path: Path):
    by_file_names = {name: layout for name, layout in LAYOUTS.items() if name != "DICOM"}
    for name, layout in by_file_names.items():
        touch(tmp_path / name / layout.EXAMPLE)
        (case,) = find_cases(tmp_path / name)
        assert (case.folder, case.layout) == (tmp_path / name, name)


def test_a_re_hosted_isles_2018_has_no_dwi(tmp_path: Path):
    """4DPWI is none, and no file is opened."""
    folders = [touch_isles2018(tmp_path / f"case_{number}") for number in range(1, 95)]
    inventory = take_inventory(find_cases(tmp_path))
    assert inventory.cases == tuple(folder.name for folder in folders)
    assert inventory.without == {"dwi": inventory.cases, "lesion": ()}
    assert inventory.lack("dwi") == "None of the 94 cases has a DWI (MR_DWI)"
    assert inventory.lack("lesion") is None


def test_some_may_lack_what_others_have(tmp_path: Path):
    folders = [
        touch_isles2018(tmp_path / "case_1", *MODALITIES, "MR_DWI"),
        touch_isles2018(tmp_path / "case_2", *MODALITIES[:3]),
        tmp_path / "derivatives" / "sub-stroke0001",
    ]
    touch(folders[2] / "ses-01" / "sub-stroke0001_ses-01_space-ncct_ctp.nii.gz")
    touch(folders[2] / "ses-02" / "sub-stroke0001_ses-02_lesion-msk.nii.gz")
    inventory = take_inventory(find_cases(tmp_path))
    assert inventory.without == {"dwi": ("case_2", "sub-stroke0001"), "lesion": ("case_2",)}
    assert inventory.lack("dwi") == (
        "A DWI (MR_DWI or space-ncct_dwi) is missing in 2 of the 3 cases, case_2 among them"
    )
    assert inventory.lack("lesion") == "A lesion (OT or lesion-msk) is missing in 1 of the 3 cases, case_2 among them"


def test_the_raw_set_of_isles_2024_has_neither(tmp_path: Path):
    raw, derived = isles2024_cases.write_subject(tmp_path)
    raw_case, derived_case = find_cases(raw), find_cases(derived)
    assert take_inventory(raw_case).lack("lesion") == "None of the 1 cases has a lesion (lesion-msk)"
    assert take_inventory(raw_case).lack("dwi") == "None of the 1 cases has a DWI (space-ncct_dwi)"
    assert take_inventory(derived_case).without == {"dwi": (), "lesion": ()}


@pytest.mark.parametrize(
    ("modality", "is_dwi"), [("MR_PWI", False), ("MR_SWI", False), ("MR_ADC", False), ("DWI_b1000", True)]
)
def test_what_counts_as_a_dwi(tmp_path: Path, modality: str, is_dwi: bool):
    folder = touch_isles2018(tmp_path / "case_1", *MODALITIES, modality)
    assert ("dwi" in nifti_cases.files_of(folder)) == is_dwi


def test_a_folder_that_holds_a_thing_twice_has_no_inventory(tmp_path: Path):
    folder = touch_isles2018(tmp_path / "case_1")
    touch(folder / "again" / "SMIR.Brain.XX.O.OT.9.nii")
    with pytest.raises(InputError, match="two LESION files"):
        take_inventory(find_cases(folder))


def test_links_that_lead_round_are_not_followed(tmp_path: Path):
    """Followed blindly they would lead to more folders than anybody can list."""
    outside = touch_isles2018(tmp_path / "outside" / "case_3")
    root = tmp_path / "data"
    names = [f"case_{number}" for number in range(10, 22)]
    for name in names:
        folder = touch_isles2018(root / name)
        (folder / "up").symlink_to("..")
        (folder / "out").symlink_to(tmp_path)
        (folder / "self").symlink_to("self")
        for other in names:
            (folder / other).symlink_to(Path("..", other))
    (root / "case_3").symlink_to(outside)
    (outside / "inner").mkdir()
    (outside / "inner" / "round").symlink_to("..")
    assert [case.folder for case in find_cases(root)] == [root / name for name in ["case_3", *names]]
    assert [case.name for case in find_cases(outside)] == ["case_3"]
    assert sorted({case.name for case in find_cases(root / names[0])}) == names  # others are linked, each once
    (root / "again").symlink_to(outside)
    assert [case.name for case in find_cases(root)] == ["again", *names]


def test_a_link_to_what_is_not_searched_otherwise_is_followed(tmp_path: Path):
    """To another place, and to a hidden one, as some tools for large files keep them."""
    root = tmp_path / "data"
    for store, name in ((tmp_path / "store", "case_1"), (root / ".store", "case_2")):
        touch_isles2018(store / "abc")
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(store / "abc")
    assert [case.name for case in find_cases(root)] == ["case_1", "case_2"]


def refuse(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Folders without the right to be read, also for root."""

    def scandir(path: Path) -> object:
        if Path(path) in folders:
            raise PermissionError(13, "Permission denied", str(path))
        return as_ever(path)

    as_ever = os.scandir
    monkeypatch.setattr("os.scandir", scandir)


def test_a_folder_that_cannot_be_read_is_a_case_at_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("case_1", "case_2", "case_3"):
        touch_isles2018(tmp_path / name)
    part = tmp_path / "case_2" / "SMIR.Brain.XX.O.CT_MTT.345561"
    refuse(monkeypatch, tmp_path / "case_1", part)
    cases = {case.name: case for case in find_cases(tmp_path)}
    assert list(cases) == ["case_1", "case_2", "case_3"]
    for name, folder in (("case_1", tmp_path / "case_1"), ("case_2", part)):
        with pytest.raises(InputError, match=rf"{re.escape(str(folder))} cannot be read \(Permission denied\)"):
            cases[name].read()
    assert not cases["case_3"].fault
    with pytest.raises(InputError, match="cannot be read"):
        take_inventory(list(cases.values()))


def test_a_folder_deep_inside_keeps_its_way_as_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    sessions = [tmp_path / f"sub-{number}" / "ses-01" for number in (1, 2)]
    for session in sessions:
        session.mkdir(parents=True)
    refuse(monkeypatch, *sessions)
    assert [case.name for case in find_cases(tmp_path)] == ["sub-1-ses-01", "sub-2-ses-01"]


def test_a_root_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refuse(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"cannot be read \(Permission denied\): give this user the right"):
        find_cases(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_a_fault_of_its_case_and_never_opened(tmp_path: Path):
    case = touch_isles2018(tmp_path / "case_1")
    series = nifti_cases.find(case, "CT_4DPWI")
    series.unlink()
    os.mkfifo(series)
    for read in (find_cases(tmp_path)[0].read, find_cases(tmp_path)[0].require_sound):
        with pytest.raises(InputError, match=r"CT_4DPWI.* is a pipe or a device, not a file"):
            read()
    with pytest.raises(InputError, match="/dev/null is a pipe or a device"):
        case_of_files("mine", {"ctp": Path(os.devnull)}).read()
