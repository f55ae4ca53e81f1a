"""The elements of a DICOM header that reading needs, by their keywords (PS3.6), and the classes of objects (PS3.4)."""

from enum import IntEnum
from typing import Final

__all__ = ["BINARY", "ENHANCED_CT", "PARAMETRIC_MAP", "Tag"]


class Tag(IntEnum):
    """An element, group and number in one integer."""

    IMAGE_TYPE = 0x00080008
    SOP_CLASS = 0x00080016
    SOP_INSTANCE = 0x00080018
    ACQUISITION_DATE = 0x00080022
    CONTENT_DATE = 0x00080023
    ACQUISITION_DATE_TIME = 0x0008002A
    ACQUISITION_TIME = 0x00080032
    CONTENT_TIME = 0x00080033
    MODALITY = 0x00080060
    MANUFACTURER = 0x00080070
    SERIES_DESCRIPTION = 0x0008103E
    MODEL = 0x00081090
    PATIENT_NAME = 0x00100010
    PATIENT_ID = 0x00100020
    SLICE_THICKNESS = 0x00180050
    TRIGGER_TIME = 0x00181060
    STUDY = 0x0020000D
    SERIES = 0x0020000E
    SERIES_NUMBER = 0x00200011
    INSTANCE_NUMBER = 0x00200013
    POSITION = 0x00200032
    ORIENTATION = 0x00200037
    FRAME_OF_REFERENCE = 0x00200052
    TEMPORAL_POSITION = 0x00200100
    TEMPORAL_RESOLUTION = 0x00200110
    IMAGES_IN_ACQUISITION = 0x00201002
    SAMPLES = 0x00280002
    PHOTOMETRIC = 0x00280004
    FRAMES = 0x00280008
    ROWS = 0x00280010
    COLUMNS = 0x00280011
    PIXEL_SPACING = 0x00280030
    BITS_ALLOCATED = 0x00280100
    BITS_STORED = 0x00280101
    HIGH_BIT = 0x00280102
    SIGNED = 0x00280103
    PADDING = 0x00280120
    PADDING_LIMIT = 0x00280121
    INTERCEPT = 0x00281052
    SLOPE = 0x00281053


BINARY: Final = frozenset(
    {
        Tag.SAMPLES,
        Tag.ROWS,
        Tag.COLUMNS,
        Tag.BITS_ALLOCATED,
        Tag.BITS_STORED,
        Tag.HIGH_BIT,
        Tag.SIGNED,
        Tag.PADDING,
        Tag.PADDING_LIMIT,
    }
)
"""Those of two bytes; all others are text."""

ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.1"
"""Class of multi-frame CT images, whose frames have headers of their own."""

PARAMETRIC_MAP: Final = "1.2.840.10008.5.1.4.1.1.30"
"""Class of maps, multi-frame likewise, whose pixels may be in floating point."""
