"""``docs/conformance.md`` against what is read and written."""

import re

import numpy as np
import pydicom
import pynetdicom
import pytest
from PIL import Image
from pydicom.datadict import keyword_for_tag
from pydicom.uid import UID, ExplicitVRLittleEndian
from support.documents import ROOT
from support.predictions import predicted

from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.phantom.dicom.study_case import write_study_case
from ctpdeploy.phantom.dicom.syntaxes import SYNTAXES
from ctpdeploy.runtime import find_cases
from ctpdeploy.runtime.dicom import enhanced
from ctpdeploy.runtime.dicom.header import _BIG_OR_DEFLATED
from ctpdeploy.runtime.dicom.tags import ENHANCED_CT, Tag
from ctpdeploy.runtime.report.dicom import identity
from ctpdeploy.runtime.report.dicom.writer import write_dicom

PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """From a heading to the next."""
    return re.split(r"\n##+ ", PAGE.split(f"# {heading}\n", 1)[1], maxsplit=1)[0]


def rows(heading: str) -> list[list[str]]:
    """Cells of the table behind a heading, without its first two lines."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def keywords(heading: str) -> set[str]:
    """Those in the first column."""
    return {word for first, *_ in rows(heading) for word in first.split(", ")}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[pydicom.Dataset]:
    """Every kind of object."""
    folder = tmp_path_factory.mktemp("conformance")
    study = write_study_case(folder, 7, PhantomConfig(size=64, slices=3, frames=24), "one-series", 1) / "study"
    Image.new("RGB", (40, 30)).save(folder / "overview.png")
    case = find_cases(study)[0].read()
    mask = np.zeros(case.series.shape[1:], dtype=bool)
    mask[1, 25:29, 25:29] = True
    write_dicom(
        folder / "out", case, predicted(mask, mask.astype(np.float32)), folder / "overview.png", fractional=True
    )
    return [pydicom.dcmread(path) for path in sorted((folder / "out").iterdir())]


def test_all_attributes_that_are_read_are_listed():
    read = {keyword_for_tag(tag) for tag in Tag} | set(enhanced._CONTENT)
    assert keywords("Attributes that are read") == read


def test_all_attributes_that_are_copied_are_listed():
    copied = [word for (line,) in rows("Attributes of patient and study") for word in line.split(", ")]
    assert sorted(copied) == sorted(identity._COPIED)


def test_classes_and_syntaxes_have_their_names_and_numbers():
    for name, uid, *_ in rows("Overview"):
        assert name == UID(uid).name
    assert {uid for _, uid, *_ in rows("Transfer syntaxes")} == {*SYNTAXES.values(), *_BIG_OR_DEFLATED}
    assert ENHANCED_CT in {uid for _, uid, read, _ in rows("Overview") if read}


def test_what_is_written_is_of_the_classes_listed(written: list[pydicom.Dataset]):
    listed = {uid for _, uid, _, is_written in rows("Overview") if is_written}
    assert {data.SOPClassUID for data in written} == listed
    assert {data.file_meta.TransferSyntaxUID for data in written} == {ExplicitVRLittleEndian}


def test_nothing_that_is_written_is_private(written: list[pydicom.Dataset]):
    assert not [element for data in written for element in data.iterall() if element.tag.is_private]


def test_what_is_made_is_there(written: list[pydicom.Dataset]):
    made = {element.keyword for data in written for element in data.iterall()}
    for first, *_ in rows("Attributes that are made"):
        for word in re.findall(r"[A-Z][A-Za-z]{6,}", first):
            assert word in made


def test_who_implements_it_and_the_modalities_are_those_of_the_objects(written: list[pydicom.Dataset]):
    entity = pynetdicom.AE()
    for uid in {data.file_meta.ImplementationClassUID for data in written} | {entity.implementation_class_uid}:
        assert uid in PAGE
    assert f"{entity.maximum_pdu_size} bytes" in PAGE
    assert {data.Modality for data in written} == {modality for _, modality, *_ in rows("Objects of a case")}
    assert not any("SeriesDate" in data for data in written)
