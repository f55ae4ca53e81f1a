"""Map voxels: the values of a perfusion map on the slices of a scan."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError, MissingPackageError
from ctpdeploy.runtime.dicom.perfusion_maps import MapImage
from ctpdeploy.runtime.dicom.plane import Plane
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom

__all__ = ["read_map"]

_BITS: Final = 16
_PADDINGS: Final = ("FloatPixelPaddingValue", "DoubleFloatPixelPaddingValue")


def read_map(images: Sequence[MapImage], called: str) -> NDArray[np.float32]:
    """Values of a map ``(Z, rows, columns)`` in its unit of ``MAP_UNITS``; 0 where an image holds none.

    None are in pixels of the padding, and of one number below those that the scale is of.

    Args:
        images: of the map, in the order of the slices.
        called: the map in errors.

    Raises:
        InputError: a file cannot be read, a value is not finite, or numbers are not those that the scale is of.
        MissingPackageError: pydicom is not installed.
    """
    values = np.empty((len(images), images[0].plane.storage.rows, images[0].plane.storage.columns), dtype=np.float32)
    files: dict[str, list[int]] = {}
    for k, image in enumerate(images):
        files.setdefault(str(image.plane.file), []).append(k)
    for those in files.values():
        stored, padding = _stored([images[k] for k in those])
        for k, numbers in zip(those, stored, strict=True):
            values[k] = _values(numbers, padding, images[k], called)
    return values


def _stored(images: Sequence[MapImage]) -> tuple[list[NDArray[np.float64]], float | None]:
    """Stored numbers of some images of one file, and the padding of floating ones."""
    first = images[0].plane
    try:
        with first.file.open("rb") as stream:
            data = pydicom().dcmread(stream)
        frames = data.pixel_array.reshape(-1, first.storage.rows, first.storage.columns)
        _require_bits(first, data)
        padding = next((float(data[keyword].value) for keyword in _PADDINGS if keyword in data), None)
        return [frames[image.plane.index].astype(np.float64) for image in images], padding
    except (InputError, MissingPackageError):
        raise
    except Exception as error:
        raise InputError(f"The pixels of {first.file} cannot be read ({error}): send it uncompressed.") from error


def _require_bits(plane: Plane, data: Any) -> None:  # noqa: ANN401  a dataset of pydicom, which cuts them off
    """Refuse pixels with bits above those that the header says are used, where they lie open.

    Raises:
        InputError: there are some, and they are no sign.
    """
    bits = plane.storage.stored
    if plane.pixels_at is None or plane.storage.allocated != _BITS or bits >= _BITS:
        return
    above = np.frombuffer(data.PixelData, dtype="<u2") >> bits
    sign = (1 << (_BITS - bits)) - 1 if plane.storage.signed else 0
    if np.any((above != 0) & (above != sign)):
        raise InputError(f"{plane.file} has numbers of more than its {bits} bits: send it again.")


def _values(stored: NDArray[np.float64], padding: float | None, image: MapImage, called: str) -> NDArray[np.float64]:
    scale, storage = image.scale, image.plane.storage
    outside = np.zeros(stored.shape, dtype=np.bool_)
    if storage.padding is not None:
        outside |= (stored >= storage.padding[0]) & (stored <= storage.padding[1])
    if padding is not None:
        outside |= np.isnan(stored) if np.isnan(padding) else stored == padding
    if _lies_among(stored[outside], stored[~outside]) and scale.slope * stored[outside].max() + scale.intercept > 0:
        raise InputError(f"{called} states a padding of {stored[outside].max():g}, which lies among its values.")
    below = (stored < scale.first) & ~outside
    if len(kinds := np.unique(stored[below])) > 1:
        raise InputError(
            f"{called} holds {len(kinds)} numbers below {scale.first:g}, from which on its values are stated, and a "
            "background is one."
        )
    outside |= below
    inside = stored[~outside]
    if not np.isfinite(inside).all():
        raise InputError(f"{called} holds NaN or infinity, and states no such padding.")
    if inside.size and inside.max() > scale.last:
        raise InputError(f"{called} holds {inside.max():g}, and its values are stated up to {scale.last:g} only.")
    values = scale.slope * np.where(outside, 0.0, stored) + scale.intercept
    values[outside] = 0.0
    return values


def _lies_among(some: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether others are less than all of some numbers, and others greater."""
    return bool(some.size and others.size and others.min() < some.min() and others.max() > some.max())
