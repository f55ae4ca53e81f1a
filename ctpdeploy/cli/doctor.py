"""``ctpdeploy doctor``: what this machine has, and what each backend says of it."""

import importlib.metadata
import os
import platform
from typing import Annotated, Any

import typer

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.cli.terminal import print_json, print_table
from ctpdeploy.errors import BackendError

__all__ = ["doctor"]

PACKAGES = (
    *("numpy", "scipy", "nibabel", "pillow", "onnxruntime", "onnxruntime-gpu", "pycuda", "tensorrt-cu13"),
    *("tensorrt-rtx", "ncnn", "openvino", "torch", "onnx", "onnxscript"),
)
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Say what this machine can do, and the one command that mends what it cannot."""
    findings = examine()
    if as_json:
        print_json(findings)
        return
    machine = findings["machine"]
    typer.echo(f"ctpdeploy {__version__} on {machine['system']}, Python {machine['python']}, {machine['cores']} cores")
    typer.echo(INTENDED_USE + "\n")
    print_table(["package", "version"], [[name, version or "-"] for name, version in findings["packages"].items()])
    typer.echo("")
    print_table(["backend", ""], [[name, reason or "ready"] for name, reason in findings["backends"].items()], words=2)
    typer.echo("")
    builders = [[name, reason or "ready"] for name, reason in findings["builders"].items()]
    print_table(["builder of engines", ""], builders, words=2)
    typer.echo(f"\nGPU: {_in_words(findings['gpus'])}")
    for problem in findings["problems"]:
        typer.echo(f"\nProblem: {problem}")


def examine() -> dict[str, Any]:
    """Machine, package versions, why each backend and builder is unavailable (None: it is ready), and problems."""
    from ctpdeploy.runtime.backends.registry import BACKENDS
    from ctpdeploy.runtime.backends.trt import FLAVOURS, unavailable_because

    packages = {name: _version(name) for name in PACKAGES}
    problems = []
    if all(packages[name] for name in RUNTIMES):
        problems.append(
            "onnxruntime and onnxruntime-gpu overwrite each other: run pip uninstall -y onnxruntime onnxruntime-gpu, "
            "then install ctpdeploy with one of its extras."
        )
    return {
        "ctpdeploy": __version__,
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        },
        "packages": packages,
        "gpus": _gpus(),
        "backends": {name: backend.unavailable_because() for name, backend in BACKENDS.items()},
        "builders": {name: unavailable_because(flavour) for name, flavour in FLAVOURS.items()},
        "problems": problems,
    }


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


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
