from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.testing import assert_array_equal
from PIL import Image
from support.predictions import predicted

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.report.dicom.writer import write_dicom


def test_the_picture_comes_back_pixel_by_pixel(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    write_dicom(tmp_path / "out", case, predicted(np.zeros(case.series.shape[1:], bool)), picture)
    data = pydicom.dcmread(tmp_path / "out" / "overview.dcm")
    with Image.open(picture) as image:
        assert_array_equal(data.pixel_array, np.asarray(image))
    assert (data.PhotometricInterpretation, data.BurnedInAnnotation) == ("RGB", "YES")
    assert data.Modality == "OT"
