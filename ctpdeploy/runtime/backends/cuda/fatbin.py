"""The kernels as they ship: one image with machine code for each architecture, and PTX for those to come."""

import hashlib
import json
from pathlib import Path
from typing import Final

from ctpdeploy.errors import BackendError

__all__ = ["FATBIN", "RECORD", "SOURCE", "read_fatbin", "sha256"]

SOURCE: Final = Path(__file__).with_name("kernels.cu")
FATBIN: Final = SOURCE.with_suffix(".fatbin")
RECORD: Final = SOURCE.with_suffix(".json")
"""Hashes of source and image, and with which compiler and options one became the other."""


def read_fatbin() -> bytes:
    """The image, if it is whole and was made from the source beside it.

    Raises:
        BackendError: it is missing, damaged or older than its source.
    """
    try:
        image, source, record = FATBIN.read_bytes(), SOURCE.read_bytes(), json.loads(RECORD.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BackendError(f"The CUDA kernels are incomplete ({error}): install ctpdeploy again.") from error
    if (record["source"], record["fatbin"]) != (sha256(source), sha256(image)):
        raise BackendError(
            f"{FATBIN} does not belong to {SOURCE.name}: install ctpdeploy again, "
            "or after a change to the source run python -m ctpdeploy.runtime.backends.cuda.build."
        )
    return image


def sha256(content: bytes) -> str:
    """Its hash as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
