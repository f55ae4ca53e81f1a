"""The origin of a case: a phantom that says so in its files, or nobody knows.

A mark tells a phantom; the lack of one tells nothing, since tools drop descriptions. That cases are of patients no file
says: whoever trains does.
"""

import hashlib
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["PHANTOM", "CaseKind", "fingerprint", "kind_of"]

CaseKind = Literal["phantom", "unknown"]
"""What a case says of itself."""

PHANTOM: Final = "ctpdeploy phantom"
"""The mark: the beginning of ``descrip`` in a NIfTI header, and of Manufacturer's Model Name in DICOM."""

_DIGITS: Final = 16
"""Of a fingerprint, 64 bits: among a million scans two are taken for one with a chance of 3e-8."""


def kind_of(words: str) -> CaseKind:
    """The kind of a case by the element of its series that may hold the mark."""
    return "phantom" if words.startswith(PHANTOM) else "unknown"


def fingerprint(series: NDArray[Any]) -> str:
    """Digest of the content of a scan, whatever its files are called and however they are packed.

    It is over the first, the middle and the last frame in whole HU. No two scans share the noise of one, and whoever
    draws a lesion anew or computes other maps has no other patient.

    Args:
        series: ``(T, D, H, W)`` in HU, in the axes of a case.

    Returns:
        Hexadecimal.
    """
    digest = hashlib.sha256(str(series.shape).encode())
    for frame in sorted({0, len(series) // 2, len(series) - 1}):
        digest.update(np.ascontiguousarray(np.rint(series[frame]), dtype="<i4").data)
    return digest.hexdigest()[:_DIGITS]
