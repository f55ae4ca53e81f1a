"""Results are the patient's to the byte, of one name each, and no other's."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.dicom_images import write_scan
from support.dicom_results import raw
from support.predictions import predicted

from ctpdeploy.runtime import Case, Prediction, find_cases
from ctpdeploy.runtime.data.prediction import Provenance
from ctpdeploy.runtime.report.dicom.writer import write_dicom

PATIENT_AND_STUDY = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName", "StudyDescription"),
)
TYPE_2 = PATIENT_AND_STUDY[1:5] + PATIENT_AND_STUDY[6:11]


def read(folder: Path, edit: Callable[[Dataset], None] | None = None) -> Case:
    write_scan(folder, edit=(lambda data, *_: edit(data)) if edit else None)
    return find_cases(folder)[0].read()


def prediction_of(case: Case, bundle: str = "ab" * 32) -> Prediction:
    mask = np.zeros(case.series.shape[1:], bool)
    mask[1, 4:8, 5:9] = True
    source = Provenance(
        bundle={"name": "demo.ctpbundle", "sha256": bundle}, backend_requested="auto", backend_because="It is first."
    )
    return replace(predicted(mask, np.zeros(mask.shape, np.float32)), provenance=source)


def write(folder: Path, case: Case, picture: Path, **options: Any) -> dict[str, Dataset]:
    names = write_dicom(folder, case, prediction_of(case, **options), picture, fractional=True)
    assert len(names) == 10
    return {word: pydicom.dcmread(folder / name) for word, name in names.items()}


def unusual(data: Dataset) -> None:
    data.SpecificCharacterSet = "ISO_IR 100"
    data.PatientName, data.PatientID = "Müller^Jürgen^^Dr.", ""
    data.PatientBirthDate, data.PatientSex, data.StudyTime = "", "", "0915"
    data.AccessionNumber, data.StudyDescription = " 12 ", "Schädel"
    data.OtherPatientIDs = ["a", "b"]


def incomplete(data: Dataset) -> None:
    for keyword in ("PatientName", "PatientID", "StudyDate", "StudyTime"):
        delattr(data, keyword)


@pytest.mark.parametrize("edit", [None, unusual, incomplete])
def test_patient_and_study_are_the_sources_byte_for_byte(
    edit: Callable[[Dataset], None] | None, tmp_path: Path, picture: Path
):
    objects = write(tmp_path / "out", read(tmp_path / "study", edit), picture)
    source = next((tmp_path / "study").iterdir())
    for word in objects:
        for keyword in PATIENT_AND_STUDY:
            expected = raw(source, keyword)
            if expected is None and keyword in TYPE_2:
                expected = b""
            assert raw(tmp_path / "out" / f"{word}.dcm", keyword) == expected, (word, keyword)
    if edit is unusual:
        assert all(data.PatientName.family_name == "Müller" for data in objects.values())
        assert all(data.OtherPatientIDs == ["a", "b"] for data in objects.values())


@pytest.mark.parametrize("character_set", ["", "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 87", "ISO_IR 999"])
def test_what_is_no_date_and_no_name_is_handed_on_in_silence(
    character_set: str,
    tmp_path: Path,
    picture: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    def edit(data: Dataset) -> None:
        if character_set:
            data.SpecificCharacterSet = character_set.replace("999", "100").split("\\")

    caplog.set_level(logging.DEBUG)
    case = read(tmp_path / "study", edit)
    for path in (tmp_path / "study").iterdir():
        content = path.read_bytes().replace(b"20260102", b"2026.1.2", 1).replace(b"Doe^Jane", b"D\\\xff=J=n=")
        path.write_bytes(content.replace(b"ISO_IR 100", character_set.encode()) if "999" in character_set else content)
    source = next((tmp_path / "study").iterdir())
    write_dicom(tmp_path / "out", case, prediction_of(case), picture)
    for path in (tmp_path / "out").iterdir():
        assert raw(path, "StudyDate") == b"2026.1.2"
        assert raw(path, "PatientName") == b"D\\\xff=J=n="
        assert raw(path, "SpecificCharacterSet") == raw(source, "SpecificCharacterSet")
    assert "J=n" not in caplog.text
    assert capfd.readouterr() == ("", "")


def test_a_result_has_the_same_uids_whenever_it_is_made(tmp_path: Path, picture: Path):
    case = read(tmp_path / "study")
    one, again = (write(tmp_path / name, case, picture) for name in ("one", "again"))
    other = write(tmp_path / "other", case, picture, bundle="cd" * 32)
    longer = write(tmp_path / "longer", replace(case, times=case.times * 1.5), picture)
    for word, data in one.items():
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
            assert data[keyword].value == again[word][keyword].value
            assert data[keyword].value != other[word][keyword].value
            assert data[keyword].value != longer[word][keyword].value
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert len({data[keyword].value for data in one.values()}) == len(one)
    dimensions = [
        data.DimensionOrganizationSequence[0].DimensionOrganizationUID
        for data in (one["segmentation"], again["segmentation"], one["probability"])
    ]
    assert dimensions[0] == dimensions[1] != dimensions[2]


def test_another_study_gives_other_uids(tmp_path: Path, picture: Path):
    one = write(tmp_path / "one", read(tmp_path / "study"), picture)
    write_scan(tmp_path / "second", study="second")
    other = write(tmp_path / "other", find_cases(tmp_path / "second")[0].read(), picture)
    assert all(one[word].SOPInstanceUID != other[word].SOPInstanceUID for word in one)
    assert max(data.SeriesNumber for data in [*one.values(), *other.values()]) < 2**31


def test_research_use_only_and_what_made_it_stand_in_every_object(tmp_path: Path, picture: Path):
    objects = write(tmp_path / "out", read(tmp_path / "study"), picture)
    for data in objects.values():
        assert data.SeriesDescription.endswith("(research use only)")
        made_by = [item for item in data.ContributingEquipmentSequence if item.Manufacturer == "ctpdeploy"]
        assert made_by[0].DeviceSerialNumber == "ab" * 32
        assert any("ctpdeploy 0." in version for version in made_by[0].SoftwareVersions)
        assert "Research use only" in made_by[0].ContributionDescription
    assert "Research use only" in str(objects["report"])


def test_a_patient_is_named_in_the_objects_and_nowhere_else(
    tmp_path: Path, picture: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    write(tmp_path / "out", read(tmp_path / "study"), picture)
    assert b"Doe^Jane" in (tmp_path / "out" / "report.dcm").read_bytes()
    assert not any(word in caplog.text for word in ("Doe", "Jane", "4711"))
    assert not any(word in path.name for path in (tmp_path / "out").iterdir() for word in ("Doe", "Jane", "4711"))
