"""Perfusion maps: what says which map an image is, in the order of trust."""

from pathlib import Path

import pydicom
import pytest
from support.map_studies import NUMBERS, edit_files, files_of, write_patient

from ctpdeploy.runtime.dicom.perfusion_maps import PerfusionMap, find_maps
from ctpdeploy.runtime.dicom.study import find_studies


def maps(folder: Path) -> list[PerfusionMap]:
    (study,) = find_studies(sorted(path for path in folder.rglob("*") if path.is_file()))
    return find_maps(study)


def tmax_with(tmp_path: Path, description: str, words: str, code: str = "", label: str = "") -> PerfusionMap:
    """The map that files of Tmax are with other words and another code."""
    write_patient(tmp_path / "study", "one-series")

    def change(data: pydicom.Dataset) -> None:
        data.SeriesDescription, data.ImageType = description, ["DERIVED", "PRIMARY", "AXIAL", words or "X"]
        item = data.RealWorldValueMappingSequence[0]
        item.LUTLabel, item.LUTExplanation = label, ""
        item.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue = code

    edit_files(files_of(tmp_path / "study", NUMBERS["tmax"]), change)
    return next(one for one in maps(tmp_path / "study") if one.series.number == "604")


KNOWN = {
    ("head", "", "113084", ""): "code 113084 DCM",
    ("Tmax MTT CBF", "TMAX", "113084", ""): "code 113084 DCM",
    ("maps MTT and Tmax", "TMAX", "", ""): "the words of its images",
    ("perfusion map", "", "", "Tmax"): "the words of its images",
    ("Time to maximum", "", "", ""): "the words of its series",
}


@pytest.mark.parametrize("stated", KNOWN)
def test_a_code_stands_before_words_of_images_and_these_before_those_of_a_series(
    stated: tuple[str, str, str, str], tmp_path: Path
):
    found = tmax_with(tmp_path, *stated)
    assert (found.name, found.known_by, found.unit, found.fault) == ("tmax", KNOWN[stated], "s", "")
    assert len(found.images) == 4


UNKNOWN = {
    ("perfusion map", "", "", ""): "nothing says what it is a map of",
    ("Tmax and MTT", "", "", ""): "the words of its series stand for 2 quantities",
    ("Tmax", "MTT", "", ""): "it is MTT by the words of its images, and Tmax by the words of its series",
    ("Tmax", "TMAX", "113052", ""): "it is MTT by code 113052 DCM, and Tmax by the words of its images",
    ("Tmax > 6 s", "TMAX", "113084", ""): "its words name what was made of maps, and not a map",
}


@pytest.mark.parametrize("stated", UNKNOWN)
def test_what_is_left_open_or_contradicted_is_said(stated: tuple[str, str, str, str], tmp_path: Path):
    found = tmax_with(tmp_path, *stated)
    assert (found.fault, found.images) == (UNKNOWN[stated], ())


def test_one_series_may_hold_all_maps(tmp_path: Path):
    write_patient(tmp_path / "study", "canon-maps")
    found = maps(tmp_path / "study")
    assert [(one.name, len(one.images)) for one in found] == [("cbf", 4), ("cbv", 4), ("mtt", 4), ("tmax", 4)]
    assert len({one.series.uids for one in found}) == 1


def test_a_series_that_cannot_be_read_is_still_called_a_map(tmp_path: Path):
    write_patient(tmp_path / "study", "canon-maps")
    edit_files(files_of(tmp_path / "study", 601), lambda data: delattr(data, "PerFrameFunctionalGroupsSequence"))
    (found,) = maps(tmp_path / "study")
    assert "describes 0 of its 16 frames" in found.fault
    assert found.is_missed


def test_one_unit_and_one_maker_make_a_map(tmp_path: Path):
    write_patient(tmp_path / "a", "ge-maps")
    edit_files(files_of(tmp_path / "a", 604)[:1], lambda data: setattr(data, "RescaleType", "ms"))
    assert {one.fault for one in maps(tmp_path / "a")} == {"", "its images are in 2 units"}
    write_patient(tmp_path / "b", "ge-maps")
    edit_files(files_of(tmp_path / "b", 604)[:1], lambda data: setattr(data, "ManufacturerModelName", "Other"))
    assert {one.fault for one in maps(tmp_path / "b")} == {"", "several makers or models made its images"}


def test_images_are_stored_alike_and_hold_what_their_mapping_is_of(tmp_path: Path):
    write_patient(tmp_path / "a", "siemens-maps")
    edit_files(files_of(tmp_path / "a", 604)[:1], lambda data: setattr(data, "PixelRepresentation", 1))
    assert {one.fault for one in maps(tmp_path / "a")} == {"", "its images are stored in 2 ways, as by no maker"}
    write_patient(tmp_path / "b", "siemens-maps")
    edit_files(files_of(tmp_path / "b", 604), lambda data: setattr(data, "PixelRepresentation", 1))
    fault = "its mapping is of numbers that its 12 bits do not hold"
    assert {one.fault for one in maps(tmp_path / "b")} == {"", fault}
