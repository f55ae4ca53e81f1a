"""``ctpdeploy doctor``: packages and devices of this machine, and the backends that it can run."""

import os
import platform
import textwrap
from typing import Annotated, Any, Final

import typer

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.cli.terminal import print_json, print_lines, print_table
from ctpdeploy.errors import BackendError, MissingPackageError, UsageError
from ctpdeploy.optional import available

__all__ = ["doctor"]

PACKAGES: Final = ("numpy", "scipy", "nibabel", "pillow", "torch", "onnx", "onnxscript")
"""Beside those of the backends."""
ROOMS: Final = {
    "dicom": ("DICOM studies and objects", ("pydicom", "highdicom", "gdcm")),
    "node": ("push to archives", ("pydicom", "pynetdicom", "starlette", "uvicorn")),
    "sign": ("signatures", ("model_signing",)),
    "train": ("training and export", ("torch", "onnx", "onnxscript")),
}
"""What extras beside those of backends are for, and the modules that they bring."""
RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")

_WIDTH: Final = 80


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """List what this machine can do, and what would bring what is missing."""
    findings = examine()
    if as_json:
        print_json(findings)
        return
    machine = findings["machine"]
    print_lines(
        f"ctpdeploy {__version__} on {machine['system']}, Python {machine['python']}, {machine['cores']} cores",
        INTENDED_USE,
        "",
    )
    print_table(["package", "version"], [[name, version or "-"] for name, version in findings["packages"].items()])
    print_lines("")
    extras, reasons = findings["extras"], _Reasons()
    backends = [[name, extras[name] or "-", reasons.mark(reason)] for name, reason in findings["backends"].items()]
    print_table(["backend", "extra", ""], backends, words=3)
    print_lines("")
    rooms = [[extra, ROOMS[extra][0], reasons.mark(reason)] for extra, reason in findings["rooms"].items()]
    print_table(["extra", "for", ""], rooms, words=3)
    print_lines("")
    builders = [[name, reasons.mark(reason)] for name, reason in findings["builders"].items()]
    print_table(["builder of engines", ""], builders, words=2)
    gpus, trusted = f"GPU: {_in_words(findings['gpus'])}", f"Trusted keys: {_names(findings['trusted_keys'])}"
    for text in (*reasons.lines(), gpus, trusted, *(f"Problem: {problem}" for problem in findings["problems"])):
        print_lines("", *textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))


class _Reasons:
    """Reasons why something is not ready, each numbered and printed once below the tables."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str | None) -> str:
        """``ready``, or the number of the reason."""
        if reason is None:
            return "ready"
        return f"not ready ({self._numbers.setdefault(reason, len(self._numbers) + 1)})"

    def lines(self) -> list[str]:
        """All reasons with their numbers."""
        return [f"({number}) {reason}" for reason, number in self._numbers.items()]


def examine() -> dict[str, Any]:
    """Machine, package versions, why a backend, builder or room is unavailable (None: it is ready), and problems."""
    from ctpdeploy.runtime.backends.packages import versions_of
    from ctpdeploy.runtime.backends.processor import processor_name
    from ctpdeploy.runtime.backends.registry import BACKENDS, packages
    from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, unavailable_because
    from ctpdeploy.runtime.bundle.trust import trusted_keys

    names = [name for name in dict.fromkeys((*PACKAGES, *packages())) if name != "ctpdeploy"]
    versions = versions_of(*names)
    problems = []
    if all(name in versions for name in RUNTIMES):
        problems.append(
            "onnxruntime and onnxruntime-gpu overwrite each other: run pip uninstall -y onnxruntime onnxruntime-gpu, "
            "then install ctpdeploy with one of its extras."
        )
    try:
        trusted: dict[str, str] | None = {str(key.file): key.fingerprint for key in trusted_keys()}
    except UsageError as error:
        trusted = None
        problems.append(str(error))
    return {
        "ctpdeploy": __version__,
        "machine": {
            "system": platform.platform(),
            "processor": processor_name(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "packages": {name: versions.get(name) for name in names},
        "gpus": _gpus(),
        "backends": {name: backend.refusal() for name, backend in BACKENDS.items()},
        "extras": {name: backend.extra for name, backend in BACKENDS.items()},
        "builders": {name: unavailable_because(package) for name, package in TENSORRT_PACKAGES.items()},
        "rooms": {extra: _missing(extra, modules) for extra, (_, modules) in ROOMS.items()},
        "trusted_keys": trusted,
        "problems": problems,
    }


def _missing(extra: str, modules: tuple[str, ...]) -> str | None:
    lacking = next((module for module in modules if not available(module)), None)
    return lacking and str(MissingPackageError(lacking, extra))


def _names(trusted: dict[str, str] | None) -> str:
    if trusted is None:
        return "cannot be read, and no bundle is opened."
    if not trusted:
        return "none, so that bundles are opened whoever made them (ctpdeploy trust)."
    return ", ".join(f"{file} (SHA-256 {fingerprint})" for file, fingerprint in trusted.items())


def _gpus() -> dict[str, Any]:
    from ctpdeploy.runtime.backends.cuda.driver import probe

    try:
        driver = probe()
    except BackendError as error:
        return {"found": [], "none_because": str(error)}
    found = [
        f"{gpu.name} ({gpu.memory / 1e9:.1f} GB, compute capability {gpu.compute_capability})" for gpu in driver.gpus
    ]
    return {"found": found, "cuda": driver.cuda, "driver": driver.release, "none_because": None}


def _in_words(gpus: dict[str, Any]) -> str:
    if gpus["none_because"]:
        return str(gpus["none_because"])
    return f"{', '.join(gpus['found'])}; driver {gpus['driver'] or 'of unknown version'}, CUDA {gpus['cuda']} or older"
