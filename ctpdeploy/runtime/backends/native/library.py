"""The compiled kernels, called from Python; what they take and give is said in ``kernels.cpp``."""

import ctypes
from ctypes import c_bool, c_char_p, c_long, c_void_p
from functools import cache
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from ctpdeploy.runtime.backends.native.build import LIBRARY, SOURCE, version_of

__all__ = ["SourceOfKernel", "WindowOfKernel", "address", "load_library", "unavailable_because"]

_SIGNATURES: Final[dict[str, tuple[Any, list[Any]]]] = {
    "version": (c_char_p, []),
    "supported": (c_bool, []),
    "pool_new": (c_void_p, [c_long]),
    "pool_free": (None, [c_void_p]),
    "pack": (c_bool, [c_void_p, c_void_p, c_long, c_long, c_long, c_void_p, c_long, c_long, c_void_p]),
    "convolve_3x3": (c_bool, [c_void_p, c_void_p, c_long, c_long, c_long, c_void_p, c_void_p, c_void_p, c_long]),
    "convolve": (c_bool, [c_void_p, c_void_p, c_long, *[c_void_p] * 3, c_long, c_void_p, *[c_long] * 5]),
    "max_pool": (c_bool, [c_void_p] * 4 + [c_long] * 2),
    "moments": (c_bool, [c_void_p, c_void_p, c_long, c_long, c_void_p]),
    "add": (c_bool, [c_void_p, c_void_p, c_long, c_long, c_long, c_void_p]),
    "enlarge": (c_bool, [c_void_p, c_void_p, c_long, c_long, c_void_p]),
}


class SourceOfKernel(ctypes.Structure):
    """``Source``: an image, and what is done to its values when they are read."""

    _fields_ = (("data", c_void_p), ("scale", c_void_p), ("shift", c_void_p), ("channels", c_long), ("relu", c_long))


class WindowOfKernel(ctypes.Structure):
    """``Window``: what of an image a convolution or a pooling sees."""

    _fields_ = tuple((name, c_long) for name in ("height", "width", "rows", "columns", "stride", "padding"))


def address(array: NDArray[Any] | None) -> int | None:
    """Where an array begins; it has to lie in memory as C has it, and to live as long as this is used."""
    return None if array is None else array.ctypes.data


def unavailable_because(file: Path = LIBRARY) -> str | None:
    """Why the kernels cannot run here and what to do, or None if they can."""
    remedy = "install a C++ compiler and run python -m ctpdeploy.runtime.backends.native"
    if not file.is_file():
        return f"its kernels were not compiled when ctpdeploy was installed: {remedy}."
    try:
        library = load_library(file)
    except (OSError, AttributeError) as error:
        return f"its kernels cannot be loaded ({error}): {remedy}."
    if library.version().decode() != version_of(SOURCE):
        return f"its kernels were compiled from another version: {remedy}."
    return None if library.supported() else "this processor has no AVX2 and FMA: use another backend."


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
