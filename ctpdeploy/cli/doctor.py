"""``ctpdeploy doctor``: what this machine has, and what each backend says of it."""

import importlib.metadata
import os
import platform
from typing import Annotated, Any

import typer

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.cli.terminal import print_json, print_table

__all__ = ["doctor"]

PACKAGES = ("numpy", "scipy", "nibabel", "matplotlib", "onnxruntime", "onnxruntime-gpu", "torch", "onnx", "onnxscript")
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
    print_table(["backend", ""], [[name, reason or "ready"] for name, reason in findings["backends"].items()])
    for problem in findings["problems"]:
        typer.echo(f"\nProblem: {problem}")


def examine() -> dict[str, Any]:
    """Machine, package versions, why each backend is unavailable (None: it is ready), and problems."""
    from ctpdeploy.runtime.backends import BACKENDS

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
        "backends": {name: module.unavailable_because() for name, module in BACKENDS.items()},
        "problems": problems,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
