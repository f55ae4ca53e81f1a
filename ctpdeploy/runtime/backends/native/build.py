"""Compiling the kernels.

The build of the package runs this file too, and goes on without the kernels if it fails. It imports nothing of
ctpdeploy: that is not installed yet.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["LIBRARY", "SOURCE", "build", "compiler_of_this_machine", "main", "version_of"]

SOURCE: Final = Path(__file__).with_name("kernels.cpp")
LIBRARY: Final = Path(__file__).with_name("libkernels.so")

_OPTIONS: Final = ("-std=c++17", "-O3", "-mavx2", "-mfma", "-pthread", "-fPIC", "-shared")


def build(target: Path = LIBRARY) -> None:
    """Compile the kernels with ``$CXX`` or the C++ compiler that is there.

    Raises:
        OSError: there is none, it does not compile them, or the folder cannot be written.
    """
    compiler = compiler_of_this_machine()
    if compiler is None:
        raise OSError("there is no C++ compiler: install g++ or clang, or name one in CXX")
    partial = target.with_suffix(f".{os.getpid()}")
    version = f'-DVERSION="{version_of(SOURCE)}"'
    try:
        command = [compiler, *_OPTIONS, version, "-o", str(partial), str(SOURCE)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{compiler} does not compile {SOURCE.name}: {done.stderr.strip()[-500:]}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def compiler_of_this_machine() -> str | None:
    """``$CXX``, or the first that is there."""
    return os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)


def version_of(file: Path) -> str:
    """What tells one version of the source from another: its SHA-256."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def main() -> None:
    """Compile, or say in a sentence why not."""
    try:
        build()
    except OSError as error:
        sys.exit(f"The kernels were not built: {error}.")
