"""The installed packages that backends stand on."""

import importlib.metadata
from collections.abc import Callable
from types import ModuleType

from ctpdeploy.errors import BackendError, MissingPackageError
from ctpdeploy.optional import require

__all__ = ["refusal_of", "require_whole", "versions_of"]


def versions_of(*packages: str) -> dict[str, str]:
    """Versions of those of some distributions that are installed."""
    installed = {}
    for package in packages:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def require_whole(module: str, *, extra: str, has: str) -> ModuleType:
    """Import a package of the same name as its distribution.

    Args:
        module: import name.
        extra: the extra of ctpdeploy that brings it.
        has: an attribute that is there if the package is: an empty folder left by an uninstallation is a package too.

    Raises:
        MissingPackageError: it is not installed.
        BackendError: it does not load, or is half removed.
    """
    again = f"run pip install --force-reinstall {module}."
    try:
        package = require(module, extra=extra)
    except MissingPackageError:
        raise
    except (ImportError, OSError) as error:
        raise BackendError(f"{module} is installed but does not load ({error}): {again}") from error
    if not hasattr(package, has):
        raise BackendError(f"{module} is half removed: {again}")
    return package


def refusal_of(requirement: Callable[[], object]) -> str | None:
    """Reason why a requirement is not met and the remedy, or None if it is.

    Args:
        requirement: raises BackendError where it is not met.
    """
    try:
        requirement()
    except BackendError as error:
        return str(error)
    return None
