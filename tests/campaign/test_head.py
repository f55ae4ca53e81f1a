"""A bolus laid over plain slices, on a head that is as real as equations are: tilted, in slabs of two distances."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from support.dicom_images import image
from support.laid_bolus import box_in, read_slices, write_study

from campaign.head import infer
from ctpdeploy.phantom import PhantomConfig, make_patient

SIZE = 96
TILT = np.radians(18.5)
ALONG = (1.0, 0.0, 0.0, 0.0, round(float(np.cos(TILT)), 7), round(float(-np.sin(TILT)), 7))
STEPS = (*(4.22,) * 3, 1.14, *(7.38,) * 4)
"""From position to position in mm, as those of a real head of a scanner of 1999: skull base, an overlap, brain."""

MIDDLE = 3
"""Last slice of the lower slab."""


def write_head(folder: Path, *, stated: bool) -> None:
    """Plain slices, their thickness stated slab by slab or as one number for all."""
    made = make_patient(np.random.SeedSequence((9, 0)), PhantomConfig(size=SIZE, slices=len(STEPS) + 1, frames=24))
    _, dy, dx = made.spacing
    folder.mkdir()
    for k, (hu, up) in enumerate(zip(made.ct, np.cumsum((5.8, *STEPS)), strict=True)):
        thickness = 7.0 if k > MIDDLE and stated else 4.0
        hu = np.clip(hu[::-1, ::-1], -1024, 3071).astype(np.int16)
        data = image(hu, (-SIZE / 2 * dx, -SIZE / 2 * dy, up), str(k), orientation=ALONG, spacing=(thickness, dy, dx))
        own(data)
        data.save_as(folder / f"{k:02d}", enforce_file_format=True)


def own(data: Dataset) -> None:
    """What real headers hold beside the rest: a window, a padding, a tilt, elements of the maker's."""
    data.WindowCenter, data.WindowWidth, data.GantryDetectorTilt = 35, 100, "+18.5"
    data.add_new(0x00280120, "SS", -1500)
    data.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x23, "DS", "+0.0")


@pytest.mark.parametrize("stated", [True, False], ids=["two thicknesses", "one thickness"])
def test_a_box_comes_back_from_a_tilted_head_in_two_slabs(stated: bool, tmp_path: Path, capsys: pytest.CaptureFixture):
    write_head(tmp_path / "plain", stated=stated)
    slices = read_slices((tmp_path / "plain").iterdir())
    found = infer(slices, tmp_path, size=SIZE)
    assert [slab.slices for slab in found] == [MIDDLE + 1, len(slices) - MIDDLE - 1]
    assert all(slab.right for slab in found), found
    assert all("series-in-slabs" in slab.findings for slab in found)
    said = capsys.readouterr().err
    assert "4 slices every 4 mm from 6 to 18 mm, series 3 with 5 slices every 7 mm from 20 to 49 mm" in said


def test_images_of_the_study_keep_their_headers(tmp_path: Path):
    write_head(tmp_path / "plain", stated=True)
    slices = read_slices((tmp_path / "plain").iterdir())
    write_study(tmp_path / "study", slices, box_in(slices))
    sent = pydicom.dcmread(tmp_path / "study" / "020-005", stop_before_pixels=True)
    plain = pydicom.dcmread(tmp_path / "plain" / "05", stop_before_pixels=True)
    changed = {element.keyword for element in sent if element.tag not in plain or element != plain[element.tag]}
    assert changed == {"SOPInstanceUID", "AcquisitionDate", "AcquisitionTime", "InstanceNumber"}
