"""Compiling the kernels.

The build of the package runs this file too, and goes on without the kernels if it fails. It imports nothing of
ctpdeploy: that is not installed yet.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["LIBRARY", "SOURCES", "build", "compiler_of_this_machine", "hash_of_sources", "main"]

SOURCES: Final = Path(__file__).with_name("cpp")
LIBRARY: Final = Path(__file__).with_name("libkernels.so")

_OPTIONS: Final = ("-std=c++17", "-O3", "-pthread", "-fPIC", "-fvisibility=hidden", "-fvisibility-inlines-hidden")
_VECTORS: Final = ("-mavx2", "-mfma")

_PROCESSOR: Final = "processor.cpp"
"""Compiled without the vector instructions whose presence it tests."""


def build(target: Path = LIBRARY) -> None:
    """Compile the kernels with ``$CXX`` or the C++ compiler that is there.

    Args:
        target: the library; replaced when the new one is complete.

    Raises:
        OSError: there is none, it does not compile them, or the folder cannot be written.
    """
    compiler = compiler_of_this_machine()
    if compiler is None:
        raise OSError("there is no C++ compiler: install g++ or clang, or name one in CXX")
    kernels = [file for file in sorted(SOURCES.glob("*.cpp")) if file.name != _PROCESSOR]
    version = f'-DCTP_VERSION="{hash_of_sources()}"'
    partial = target.with_suffix(f".{os.getpid()}")
    command = [compiler, *_OPTIONS]
    try:
        with tempfile.TemporaryDirectory() as folder:
            _run([*command, *_VECTORS, "-c", *map(str, kernels)], Path(folder))
            _run([*command, version, "-c", str(SOURCES / _PROCESSOR)], Path(folder))
            objects = map(str, sorted(Path(folder).glob("*.o")))
            _run([*command, *_exports(), "-shared", "-o", str(partial.absolute()), *objects], Path(folder))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def compiler_of_this_machine() -> str | None:
    """``$CXX``, or the first that is there."""
    return os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)


def hash_of_sources(folder: Path = SOURCES) -> str:
    """SHA-256 over the names and contents of all sources, by which a library of other sources is refused."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".cpp", ".hpp", ".map"))
    contents = (f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n" for file in files)
    return hashlib.sha256("".join(contents).encode()).hexdigest()


def main() -> None:
    """Compile the kernels; without success, exit with a sentence that gives the reason."""
    try:
        build()
    except OSError as error:
        sys.exit(f"The kernels were not built: {error}.")


def _exports() -> list[str]:
    """Options that hide the templates of the standard library too, which ``-fvisibility`` leaves visible."""
    return [f"-Wl,--version-script={SOURCES / 'exports.map'}"] if sys.platform == "linux" else []


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{command[0]} does not compile the kernels: {done.stderr.strip()[-500:]}")
