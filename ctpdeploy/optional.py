"""Checks for optional packages, so that a missing one ends in the command that installs it."""

import importlib
import importlib.util
from types import ModuleType

from ctpdeploy.errors import MissingPackageError

__all__ = ["available", "require"]


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: import name, for example ``"onnxruntime"``.
        extra: the extra of ctpdeploy that brings it.

    Raises:
        MissingPackageError: if it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise  # the package is there, one of its own needs is not: that is another message
        raise MissingPackageError(module, extra) from error


def available(module: str) -> bool:
    """Whether an optional package is installed; does not import it."""
    return importlib.util.find_spec(module) is not None
