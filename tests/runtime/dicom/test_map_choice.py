"""Choice of maps: for which scan, from whom; what else there is is in ``tests/runtime/io/test_dicom_case.py``."""

from pathlib import Path

import pydicom
from pydicom.uid import generate_uid
from support.map_studies import NUMBERS, edit_files, files_of, write_patient

from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.dicom.choice import choose_scans
from ctpdeploy.runtime.dicom.description import describe_study
from ctpdeploy.runtime.dicom.map_choice import MapChoice, choose_maps
from ctpdeploy.runtime.dicom.study import Study, find_studies


def study(folder: Path) -> Study:
    (found,) = find_studies(sorted(path for path in folder.rglob("*") if path.is_file()))
    return found


def choices(folder: Path) -> list[MapChoice]:
    found = study(folder)
    return choose_maps(found, choose_scans(found))


def test_images_are_in_the_order_of_the_slices(tmp_path: Path):
    write_patient(tmp_path / "study", "canon-maps")
    (choice,) = choices(tmp_path / "study")
    assert tuple(choice.taken) == MAP_NAMES
    (scan,) = choose_scans(study(tmp_path / "study"))
    for one in choice.taken.values():
        assert [image.plane.position for image in one.images] == [plane.position for plane in scan.stack.planes[0]]


def test_of_two_injections_nobody_knows_whose_maps_they_are(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    series = generate_uid()
    for path in files_of(tmp_path / "study", 101):
        data = pydicom.dcmread(path)
        data.SeriesInstanceUID, data.SeriesNumber = series, 102
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        date, time = data.AcquisitionDateTime[:8], data.AcquisitionDateTime[8:]
        data.AcquisitionDateTime = f"{date}{int(time[:2]) + 1:02d}{time[2:]}"
        data.save_as(path.with_name(f"{path.name}later"))
    first, second = choices(tmp_path / "study")
    for choice in (first, second):
        assert not choice.taken
        assert "it lies on several scans of one slab" in str(choice.findings[0])


def test_a_study_without_maps_has_nothing_to_say_of_them(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    for path in files_of(tmp_path / "study", *NUMBERS.values()):
        path.unlink()
    (choice,) = choices(tmp_path / "study")
    assert (choice.candidates, choice.taken, choice.findings) == ([], {}, ())


def test_maps_that_networks_do_not_take_are_listed_and_not_missed(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    for path in files_of(tmp_path / "study", NUMBERS["cbf"], NUMBERS["cbv"], NUMBERS["mtt"]):
        path.unlink()

    def to_peak(data: pydicom.Dataset) -> None:
        data.SeriesDescription, data.ImageType = "TTP", ["DERIVED", "PRIMARY", "AXIAL", "TTP"]
        del data.RealWorldValueMappingSequence

    edit_files(files_of(tmp_path / "study", NUMBERS["tmax"]), to_peak)
    (choice,) = choices(tmp_path / "study")
    assert choice.findings == ()
    assert [(one.map.title, one.because) for one in choice.candidates] == [("TTP", "networks take no such map")]


def test_the_description_says_what_each_series_maps_and_for_which_scan(tmp_path: Path):
    write_patient(tmp_path / "study", "canon-maps", junk=True)
    described = {one["number"]: one for one in describe_study(study(tmp_path / "study"))["series"]}
    assert [(one["quantity"], one["unit"], one["taken_for"]) for one in described["601"]["maps"]] == [
        ("cbf", "ml/(100.g)/min", ["101"]),
        ("cbv", "ml/(100.g)", ["101"]),
        ("mtt", "s", ["101"]),
        ("tmax", "s", ["101"]),
    ]
    (colour,) = described["701"]["maps"]
    assert (colour["quantity"], colour["taken_for"]) == ("cbf", [])
    assert colour["because"] == "a map in colours holds no values"
    assert described["101"]["maps"] == []


def test_maps_of_a_study_without_a_scan_are_described_too(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    for path in files_of(tmp_path / "study", 101):
        path.unlink()
    described = describe_study(study(tmp_path / "study"))
    assert [one["maps"][0]["quantity"] for one in described["series"]] == list(MAP_NAMES)
    assert described["fault"]


def test_maps_of_another_patient_are_not_taken(tmp_path: Path):
    write_patient(tmp_path / "study", "canon-maps")
    for path in files_of(tmp_path / "study", *NUMBERS.values()):
        data = pydicom.dcmread(path)
        data.PatientID = "of another"
        data.save_as(path)
    (choice,) = choices(tmp_path / "study")
    assert not choice.taken
    assert {one.because for one in choice.candidates if one.map.name} == {
        "it has another patient ID, or name where there is none, than the scan"
    }
