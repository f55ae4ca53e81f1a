"""HU of images however they are stored: the plain way against pydicom's, and both against what was written."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from support.dicom_images import FRAMES, SLICES, enhanced, head_series, stored, write_scan

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.stack import Stack, find_stacks
from ctpdeploy.runtime.dicom.study import find_studies
from ctpdeploy.runtime.dicom.voxels import AIR, read_voxels


def stack(folder: Path) -> Stack:
    (study,) = find_studies(sorted(folder.rglob("*")))
    (found,) = find_stacks(study.series[0].planes, "series 3")
    return found


STORED = {
    "signed": lambda data, hu: stored(data, hu, 1, 0, "<i2"),
    "unsigned": lambda data, hu: stored(data, hu, 1, -1024),
    "signed and shifted": lambda data, hu: stored(data, hu, 1, -1024, "<i2"),
    "halves": lambda data, hu: stored(data, hu, 0.5, -1024),
    "large": lambda data, hu: stored(data, hu.astype(int), 1, -1024),
}


@pytest.mark.parametrize("kind", STORED)
def test_hu_come_back(tmp_path: Path, kind: str):
    hu = head_series().astype(int if kind == "large" else np.int16)
    hu[3, 1, 5, 7] = 40_000 if kind == "large" else 1_500  # metal

    def edit(data: Dataset, t: int, z: int) -> None:
        STORED[kind](data, hu[t, z])

    write_scan(tmp_path, hu, edit=edit)
    found = read_voxels(stack(tmp_path))
    assert found.dtype == (np.float32 if kind in ("halves", "large") else np.int16)
    assert_array_equal(found, hu)


@pytest.mark.parametrize("signed", [False, True])
def test_bits_above_the_highest_are_no_part_of_a_value(tmp_path: Path, signed: bool):
    """Twelve bits are stored, and four of something else above them."""
    hu = head_series()

    def edit(data: Dataset, t: int, z: int) -> None:
        stored(data, hu[t, z], 1, 0 if signed else -1024, "<i2" if signed else "<u2")
        data.BitsStored, data.HighBit = 12, 11
        values = np.frombuffer(data.PixelData, "<u2") & 0x0FFF
        data.PixelData = (values | 0xA000).tobytes()

    write_scan(tmp_path, hu, edit=edit)
    assert_array_equal(read_voxels(stack(tmp_path)), hu)


UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("syntax", [*UNCOMPRESSED, JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("signed", [False, True])
def test_every_transfer_syntax_gives_the_same(tmp_path: Path, syntax: str, signed: bool):
    hu = np.kron(head_series(), np.ones((2, 2), dtype=np.int16))  # an encoder takes none smaller

    def edit(data: Dataset, t: int, z: int) -> None:
        data.Rows, data.Columns = hu.shape[2:]
        stored(data, hu[t, z], 1, -1024, "<i2" if signed else "<u2")
        if syntax in UNCOMPRESSED:
            data.file_meta.TransferSyntaxUID = syntax
            if not UID(syntax).is_little_endian:
                data.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
                data.PixelData = np.frombuffer(data.PixelData, "<i2").byteswap().tobytes()
        else:
            data.compress(syntax, generate_instance_uid=False)

    write_scan(tmp_path, hu, edit=edit)
    assert_array_equal(read_voxels(stack(tmp_path)), hu)


@pytest.mark.parametrize(
    ("value", "intercept", "believed"),
    [(-2000, 0, True), (0, -1024, True), (0, 0, False), (40, 0, False), (4095, 0, True)],
)
def test_padding_is_air_unless_it_is_a_number_of_tissue(tmp_path: Path, value: int, intercept: int, believed: bool):
    hu = head_series()
    outside = np.zeros(hu.shape[2:], dtype=bool)
    outside[:2] = True
    written = np.where(outside, value + intercept, hu).astype(np.int16)

    def edit(data: Dataset, t: int, z: int) -> None:
        stored(data, written[t, z], 1, intercept, "<i2")
        data.add_new(0x00280120, "SS", value)

    write_scan(tmp_path, hu, edit=edit)
    found = read_voxels(stack(tmp_path))
    if believed:
        assert_array_equal(found[..., outside], AIR)
        assert_array_equal(found[..., ~outside], hu[..., ~outside])
    else:
        assert_array_equal(found, written)


@pytest.mark.parametrize("keyword", ["FrameAcquisitionDateTime", "FrameReferenceDateTime", "TemporalPositionIndex"])
@pytest.mark.parametrize("files", [1, FRAMES])
def test_enhanced_objects_in_any_order_of_frames_with_a_rescale_each(tmp_path: Path, keyword: str, files: int):
    hu, times = head_series(), 3.0 + 1.5 * np.arange(FRAMES)
    places = [(t, z) for t in range(FRAMES) for z in range(SLICES)]
    rng = np.random.default_rng(5)
    for number, part in enumerate(np.split(np.array(places), files)):
        mixed = [(int(t), int(z)) for t, z in rng.permutation(part)]
        enhanced(hu, mixed, times, f"e{number}", keyword=keyword).save_as(
            tmp_path / f"{number}", enforce_file_format=True
        )
    found = stack(tmp_path)
    assert_array_equal(read_voxels(found), hu)
    if "Date" in keyword:
        assert (found.clock.name, found.clock.unit) == (keyword, "s")
        np.testing.assert_allclose(found.times, times - times[0], atol=1e-6)
    else:
        assert (found.clock.name, found.clock.unit) == ("TemporalPositionIdentifier", "frames")


def test_a_file_that_ends_within_its_pixels_is_refused(tmp_path: Path):
    write_scan(tmp_path)
    path = min(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="ends within its pixels"):
        read_voxels(stack(tmp_path))


def test_pixels_that_cannot_be_decoded_are_refused(tmp_path: Path):
    def edit(data: Dataset, *_: int) -> None:
        data.compress(RLELossless, generate_instance_uid=False)

    write_scan(tmp_path, edit=edit)
    path = min(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"pixels of .* cannot be read"):
        read_voxels(stack(tmp_path))
