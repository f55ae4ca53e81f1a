"""Secondary capture: the overview as a picture that every archive takes and every viewer shows (PS3.3 A.8)."""

from pathlib import Path
from typing import Final

import numpy as np
from highdicom.sc import SCImage
from PIL import Image

from ctpdeploy.runtime.report.dicom.context import Context

__all__ = ["secondary_capture"]

_SERIES: Final = 3


def secondary_capture(context: Context, picture: Path) -> SCImage:
    """A picture as an object, each pixel as it is.

    Args:
        context: of the case.
        picture: PNG, with its notice burned in.
    """
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"))
    data = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "P"),
        study_instance_uid=context.sources.header.StudyInstanceUID,
        **context.described("overview", _SERIES, "CT perfusion overview"),
    )
    data.PatientOrientation = []  # of a page with several pictures and a curve
    data.ConversionType = "WSD"
    data.BurnedInAnnotation = "YES"
    context.finish(data)
    return data
