"""The two packages that build engines, TensorRT and TensorRT-RTX, and where they are imported."""

import importlib.metadata
import re
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, TypeAlias

from ctpdeploy.errors import BackendError, MissingPackageError, UsageError, install_with
from ctpdeploy.optional import require
from ctpdeploy.runtime.backends.cuda.driver import probe
from ctpdeploy.runtime.backends.packages import refusal_of

__all__ = ["TENSORRT_PACKAGES", "Native", "TensorRTPackage", "choose_package", "cuda_of", "load", "unavailable_because"]

Native: TypeAlias = Any
"""An object of one of the packages, untyped, since they may not be installed."""


@dataclass(frozen=True, kw_only=True)
class TensorRTPackage:
    """One of the packages. Only calls that both have are made, so that one code serves both.

    Attributes:
        backend: its name on the command line.
        module: import name.
        distribution: name on the package index, without the CUDA version at its end.
        packages: all names that it is installed under.
        extra: the extra of ctpdeploy that brings it.
        first: the oldest version that fits.
        below: the version from which on none fits.
        portable: builds for GPUs that are not there, and without a driver; else for the GPU that is there.
    """

    backend: str
    module: str
    distribution: str
    packages: tuple[str, ...]
    extra: str
    first: tuple[int, ...]
    below: tuple[int, ...]
    portable: bool


TENSORRT_PACKAGES: Final[dict[str, TensorRTPackage]] = {
    "tensorrt": TensorRTPackage(
        backend="tensorrt",
        module="tensorrt",
        distribution="tensorrt",
        packages=("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
        extra="tensorrt",
        first=(10, 13, 2),
        below=(12,),
        portable=False,
    ),
    "tensorrt-rtx": TensorRTPackage(
        backend="tensorrt-rtx",
        module="tensorrt_rtx",
        distribution="tensorrt-rtx",
        packages=("tensorrt-rtx",),
        extra="rtx",
        first=(1, 7),
        below=(2,),
        portable=True,
    ),
}
"""Best first."""


def load(package: TensorRTPackage) -> ModuleType:
    """Import a package, and refuse versions that the code was not written for.

    Raises:
        BackendError: it is not installed, does not load, or has another version.
    """
    again = f"run pip uninstall -y {' '.join(package.packages)}, then {install_with(package.extra)}."
    try:
        module = require(package.module, extra=package.extra)
    except MissingPackageError:
        raise
    except (ImportError, OSError) as error:
        raise BackendError(
            f"The package '{package.module}' is installed but does not load ({error}): {again}"
        ) from error
    version = getattr(module, "__version__", None)
    if version is None:  # an empty folder left by an uninstallation is a package too
        raise BackendError(f"The package '{package.module}' is half removed: {again}")
    if not package.first <= _numbers(version) < package.below:
        first, below = (".".join(map(str, numbers)) for numbers in (package.first, package.below))
        raise BackendError(f"{package.module} {version} is not from {first} up to below {below}: {again}")
    return module


def unavailable_because(package: TensorRTPackage) -> str | None:
    """Reason why no engine can be built here and the remedy, or None if it can."""

    def requirement() -> None:
        load(package)
        if not package.portable:
            probe()

    return refusal_of(requirement)


def choose_package(backend: str) -> TensorRTPackage:
    """The package of a backend's name.

    Raises:
        UsageError: no package has this name.
        BackendError: it cannot build here.
    """
    if backend not in TENSORRT_PACKAGES:
        raise UsageError(f"No engines are built for '{backend}': choose {' or '.join(TENSORRT_PACKAGES)}.")
    if reason := unavailable_because(TENSORRT_PACKAGES[backend]):
        raise BackendError(f"No engine of {backend} can be built here. {reason}")
    return TENSORRT_PACKAGES[backend]


def cuda_of(package: TensorRTPackage) -> str:
    """Major version of CUDA that the installed package was built for, read off the names of its wheels."""
    pattern = re.compile(rf"{re.escape(package.distribution)}-cu(\d+)(-libs|-bindings)?")
    names = {(dist.name or "").lower().replace("_", "-") for dist in importlib.metadata.distributions()}
    majors = {match[1] for name in names if (match := pattern.fullmatch(name))}
    return "+".join(sorted(majors)) or "unknown"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
