"""Objects of a template against pydicom's own way of writing them."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage

from ctpdeploy.phantom.dicom.headers import Identity, describe_pixels, new_object
from ctpdeploy.phantom.dicom.makers import GE
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.syntaxes import SYNTAXES, pack
from ctpdeploy.phantom.dicom.template import Template

IDENTITY = Identity(name="PHANTÔM^ONE", words="test", start="101500", maker=GE)
PIXELS = Pixels(signed=False, bits=12)
IMAGE = np.arange(391, dtype=np.uint16).reshape(17, 23)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_filled_template_is_the_file_that_pydicom_writes(syntax: str):
    data = new_object(IDENTITY, CTImageStorage, "s", modality="CT", number=3, description="CTP")
    describe_pixels(data, PIXELS, *IMAGE.shape)
    data.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    own = {"SOPInstanceUID": IDENTITY.uid("i"), "InstanceNumber": 7, "SeriesNumber": 5}
    pixels = pack([IMAGE], PIXELS, SYNTAXES[syntax])
    filled = Template(data).fill(own, pixels)

    for keyword, value in own.items():
        setattr(data, keyword, value)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.PixelData = pixels
    data["PixelData"].VR = "OB" if SYNTAXES[syntax].is_compressed else "OW"
    data["PixelData"].is_undefined_length = SYNTAXES[syntax].is_compressed
    buffer = BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    assert filled == buffer.getvalue()
    assert np.array_equal(pydicom.dcmread(BytesIO(filled)).pixel_array, IMAGE)


def test_uids_of_words_that_join_to_the_same_are_different():
    assert IDENTITY.uid(1, 11) != IDENTITY.uid(11, 1)
    assert IDENTITY.uid("a") == IDENTITY.uid("a")
