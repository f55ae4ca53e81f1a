"""Transfer syntaxes: how pixels are packed into files, without loss (PS3.5 section 10, annex A)."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate

from ctpdeploy.optional import require
from ctpdeploy.phantom.dicom.pixels import Pixels

__all__ = ["SYNTAXES", "pack"]

SYNTAXES: Final[dict[str, uid.UID]] = {
    "explicit": uid.ExplicitVRLittleEndian,
    "implicit": uid.ImplicitVRLittleEndian,
    "jpeg-lossless": uid.JPEGLosslessSV1,
    "jpeg-ls": uid.JPEGLSLossless,
    "jpeg-2000": uid.JPEG2000Lossless,
    "rle": uid.RLELossless,
}
"""Those that layouts name."""


def pack(frames: Sequence[NDArray[Any]], pixels: Pixels, syntax: uid.UID) -> bytes:
    """Pixel data of an object.

    Args:
        frames: stored values, each ``(J, I)`` int16 or uint16.
        pixels: how they are stored.
        syntax: one of ``SYNTAXES``.

    Raises:
        MissingPackageError: GDCM is not installed, and the syntax compresses.
    """
    if not syntax.is_compressed:
        return b"".join(np.ascontiguousarray(frame).tobytes() for frame in frames)
    return encapsulate([_compressed(frame, pixels, syntax) for frame in frames])


def _compressed(frame: NDArray[Any], pixels: Pixels, syntax: uid.UID) -> bytes:
    gdcm: Any = require("gdcm", extra="dicom")
    writer = gdcm.ImageWriter()  # owns the image
    image = writer.GetImage()
    image.SetNumberOfDimensions(2)
    image.SetDimension(0, frame.shape[1])
    image.SetDimension(1, frame.shape[0])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, pixels.bits, pixels.bits - 1, int(pixels.signed)))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetByteStringValue(np.ascontiguousarray(frame).tobytes())
    image.SetDataElement(element)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    change.SetInput(image)
    if not change.Change():
        raise RuntimeError(f"GDCM did not compress an image of {pixels} by {syntax.name}.")
    fragments = change.GetOutput().GetDataElement().GetSequenceOfFragments()
    # a string of bytes that are no UTF-8, as pydicom's own handler takes it back
    return b"".join(
        fragments.GetFragment(index).GetByteValue().GetBuffer().encode("utf-8", "surrogateescape")
        for index in range(fragments.GetNumberOfFragments())
    )
