"""Building the kernels, on a developer's machine: ``python -m ctpdeploy.runtime.backends.cuda.build`` makes what ships.

Nothing here runs on a scanner. The device code and its twin for the CPU are compiled to the same arithmetic: no
multiplication is fused with an addition, and division and square root round by IEEE 754.
"""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.fatbin import FATBIN, RECORD, SOURCE, sha256

__all__ = ["ARCHITECTURES", "NVCC_OPTIONS", "build_fatbin", "main", "nvcc_version", "run_compiler"]

ARCHITECTURES: Final = (75, 80, 86, 89, 90, 100, 120)
"""Compute capabilities times ten with machine code in the image: Turing to Blackwell."""

_PTX: Final = 75
"""The driver translates this for whatever has no machine code; the kernels need nothing newer."""

NVCC_OPTIONS: Final = (
    "-std=c++17",
    "--fmad=false",
    "--compress-mode=size",
    "-Xptxas=-v",  # prints registers and spills of each kernel; the image remembers even this option
    *(f"-gencode=arch=compute_{number},code=sm_{number}" for number in ARCHITECTURES),
    f"-gencode=arch=compute_{_PTX},code=compute_{_PTX}",
)


def build_fatbin(target: Path, *, nvcc: str = "nvcc") -> str:
    """Compile the kernels for every architecture; returns the compiler's output on registers and spills.

    Raises:
        BackendError: there is no nvcc, or it refuses.
    """
    # in the source's folder and by its bare name: the image must not depend on where it was built
    return run_compiler([nvcc, *NVCC_OPTIONS, "-fatbin", "-o", str(target.absolute()), SOURCE.name])


def nvcc_version(nvcc: str = "nvcc") -> str:
    """Such as ``"13.0.88"``.

    Raises:
        BackendError: there is no nvcc.
    """
    found = re.search(r"V(\d+\.\d+\.\d+)", run_compiler([nvcc, "--version"]))
    if found is None:
        raise BackendError(f"{nvcc} does not say which version it is: give NVIDIA's.")
    return found[1]


def main() -> None:
    """Make the image that ships, and the record that ties it to its source."""
    build_fatbin(FATBIN)
    record = {
        "source": sha256(SOURCE.read_bytes()),
        "nvcc": nvcc_version(),
        "options": NVCC_OPTIONS,
        "fatbin": sha256(FATBIN.read_bytes()),
    }
    RECORD.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def run_compiler(command: Sequence[str]) -> str:
    """Run a compiler in the folder of the source and return its output.

    Raises:
        BackendError: it is missing, or refuses.
    """
    try:
        done = subprocess.run(command, cwd=SOURCE.parent, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BackendError(f"{command[0]} cannot be run ({error}): install it, or put it on the PATH.") from error
    if done.returncode != 0:
        raise BackendError(f"{command[0]} does not compile the kernels: {(done.stderr or done.stdout).strip()}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main()
