"""The compiled kernels as functions of Python; their arguments are documented in the sources, in ``cpp``."""

import ctypes
from ctypes import c_bool, c_char_p
from functools import cache
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.build import LIBRARY, hash_of_sources

__all__ = ["SourceOfKernel", "WindowOfKernel", "address", "load_library", "unavailable_because"]

Pointer, Size = ctypes.c_void_p, ctypes.c_ssize_t

_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "ctp_version": (c_char_p, []),
    "ctp_supported": (c_bool, []),
    "ctp_pool_new": (Pointer, [Size]),
    "ctp_pool_free": (None, [Pointer]),
    "ctp_pack": (c_bool, [Pointer, Pointer, Size, Size, Size, Pointer, Size, Size, Pointer]),
    "ctp_convolve_3x3": (c_bool, [Pointer, Pointer, Size, Size, Size, Pointer, Pointer, Pointer, Size]),
    "ctp_convolve": (c_bool, [Pointer, Pointer, Size, *[Pointer] * 3, Size, Pointer, *[Size] * 5]),
    "ctp_max_pool": (c_bool, [Pointer] * 4 + [Size] * 2),
    "ctp_moments": (c_bool, [Pointer, Pointer, Size, Size, Pointer]),
    "ctp_add": (c_bool, [Pointer, Pointer, Size, Size, Size, Pointer]),
    "ctp_upsample2x": (c_bool, [Pointer, Pointer, Size, Size, Pointer]),
}


class SourceOfKernel(ctypes.Structure):
    """``Source``: an image with the scale, the shift and the ReLU that the kernel applies when it reads it."""

    _fields_ = (("data", Pointer), ("scale", Pointer), ("shift", Pointer), ("channels", Size), ("relu", Size))


class WindowOfKernel(ctypes.Structure):
    """``Window``: the windows of a convolution or a pooling in an image."""

    _fields_ = tuple((name, Size) for name in ("height", "width", "rows", "columns", "stride", "padding"))


def address(array: NDArray[Any] | None) -> int | None:
    """Address of an array; it has to lie in memory as C has it, and to live as long as this is used."""
    return None if array is None else array.ctypes.data


def unavailable_because(file: Path = LIBRARY) -> str | None:
    """Reason why the kernels cannot run here and the remedy, or None if they can."""
    remedy = "install a C++ compiler and run python -m ctpdeploy.runtime.backends.native"
    if not file.is_file():
        return f"this installation of ctpdeploy has no compiled kernels: {remedy}."
    try:
        library = load_library(file)
    except (OSError, AttributeError) as error:
        return f"its kernels cannot be loaded ({error}): {remedy}."
    if library.ctp_version().decode() != hash_of_sources():
        return f"its kernels were compiled from another version: {remedy}."
    return None if library.ctp_supported() else "this processor has no AVX2 and FMA: use another backend."


@cache
def load_library(file: Path = LIBRARY) -> ctypes.CDLL:
    """The library.

    Raises:
        OSError: it was not compiled, or not for this system.
        AttributeError: it is another library, or of another version.
    """
    library = ctypes.CDLL(str(file))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
