"""Checks for optional packages, so that a missing one ends in the extra that brings it."""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Final

from ctpdeploy.errors import MissingPackageError

__all__ = ["available", "require"]


_REPORTERS: Final = {"openvino": "openvino_telemetry"}
"""Modules by which packages report to their makers, OpenVINO 2026.4 with each import; without them they keep silent."""


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, and keep it from reporting to its maker.

    Args:
        module: import name, for example ``"onnxruntime"``.
        extra: the extra of ctpdeploy that brings it.

    Raises:
        MissingPackageError: if it is not installed.
    """
    if module in _REPORTERS:
        sys.modules.setdefault(_REPORTERS[module], None)  # type: ignore[arg-type]  # so that its import fails
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise  # the package is there, one of its own needs is not: that is another message
        raise MissingPackageError(module, extra) from error


def available(module: str) -> bool:
    """Whether an optional package is installed; does not import it."""
    return importlib.util.find_spec(module) is not None
