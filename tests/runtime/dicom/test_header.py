"""The fast way to a header against pydicom's, on whatever may stand in one."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support.dicom_images import ROWS, image

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.header import Header, pydicom_header, read_header
from ctpdeploy.runtime.dicom.tags import BINARY, Tag

HU = np.arange(ROWS * 24).reshape(ROWS, 24).astype(np.int16)


def nested(data: Dataset, *, undefined: bool) -> None:
    """Sequences in sequences, with elements that are wanted outside of them."""
    inner, outer = Dataset(), Dataset()
    inner.ImagePositionPatient, inner.SOPInstanceUID = [9, 9, 9], "1.2.3"
    outer.RequestAttributesSequence = Items([inner, inner])
    outer.Rows = 7
    data.ReferencedStudySequence = Items([outer, Dataset()])
    data.SourceImageSequence = Items([inner])
    for element in data.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined


def plain(data: Dataset) -> None:
    """As it is."""


def private(data: Dataset) -> None:
    """Elements of a maker, among them a long one before the pixels."""
    block = data.private_block(0x0019, "MAKER", create=True)
    block.add_new(0x24, "DS", "62.182")
    block.add_new(0x30, "OB", bytes(40_000))


def padded(data: Dataset) -> None:
    """Padding in the pixels' own sign, of odd texts the more."""
    data.add_new(Tag.PADDING, "SS", -2000)
    data.add_new(Tag.PADDING_LIMIT, "SS", -1990)
    data.SeriesDescription = "odd"


def accents(data: Dataset) -> None:
    data.SpecificCharacterSet, data.PatientName = "ISO_IR 100", "Müller^Käthe"


KINDS = {
    "plain": plain,
    "private": private,
    "padded": padded,
    "defined": lambda data: nested(data, undefined=False),
    "accents": accents,
    "undefined": lambda data: nested(data, undefined=True),
}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian], ids=["explicit", "implicit"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_way_finds_what_pydicom_finds(tmp_path: Path, kind: str, syntax: str):
    data = image(HU, (-108.0, -90.5, 12.25), "one")
    KINDS[kind](data)
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(tmp_path / "x", enforce_file_format=True)
    found, expected = read_header(tmp_path / "x"), pydicom_header(tmp_path / "x")
    assert found is not None
    assert set(found.values) == set(expected.values)
    for tag in Tag:
        read = Header.integer if tag in BINARY else Header.text
        assert read(found, tag) == read(expected, tag), tag
    assert found.numbers(Tag.POSITION) == (-108.0, -90.5, 12.25)
    assert found.words(Tag.IMAGE_TYPE) == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert found.integer(Tag.PADDING) == (-2000 if kind == "padded" else 0)
    assert found.pixels_length == HU.nbytes
    assert found.pixels_at is not None
    assert (tmp_path / "x").read_bytes()[found.pixels_at :] == data.PixelData


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_unusual_files_are_left_to_pydicom(tmp_path: Path, syntax: str):
    data = image(HU, (0, 0, 0), "one")
    if syntax == RLELossless:
        data.compress(RLELossless)
        data.save_as(tmp_path / "x", enforce_file_format=True)
    else:
        bare = Dataset()  # of no encoding as yet
        bare.update({element.tag: element for element in data})
        bare.file_meta = data.file_meta
        bare.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(tmp_path / "x", bare, enforce_file_format=True)
    found = read_header(tmp_path / "x")
    assert found is not None
    assert (found.syntax, found.pixels_at) == (syntax, None)
    assert (found.integer(Tag.ROWS), found.text(Tag.SOP_INSTANCE)) == (ROWS, data.SOPInstanceUID)


def test_a_file_of_another_kind_is_none(tmp_path: Path):
    for content in (b"", b"DICM", bytes(128) + b"DICX" + bytes(100)):
        (tmp_path / "x").write_bytes(content)
        assert read_header(tmp_path / "x") is None


def test_a_file_that_ends_in_its_header_is_refused(tmp_path: Path):
    image(HU, (0, 0, 0), "one").save_as(tmp_path / "x", enforce_file_format=True)
    whole = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(whole[:150])
    with pytest.raises(InputError, match=r"x is no readable DICOM file .* send it again"):
        read_header(tmp_path / "x")


def test_a_text_in_another_alphabet_is_read(tmp_path: Path):
    data = image(HU, (0, 0, 0), "one")
    data.SpecificCharacterSet, data.SeriesDescription = "ISO_IR 100", "Schädel"
    data.save_as(tmp_path / "x", enforce_file_format=True)
    found = read_header(tmp_path / "x")
    assert found is not None
    assert found.text(Tag.SERIES_DESCRIPTION) == "Schädel"


def test_the_tags_are_pydicoms():
    keywords = {
        Tag.POSITION: "ImagePositionPatient",
        Tag.STUDY: "StudyInstanceUID",
        Tag.SIGNED: "PixelRepresentation",
        Tag.TEMPORAL_POSITION: "TemporalPositionIdentifier",
        Tag.INTERCEPT: "RescaleIntercept",
    }
    for tag in Tag:
        known = pydicom.datadict.keyword_for_tag(int(tag))
        assert known, tag
        assert keywords.get(tag, known) == known
