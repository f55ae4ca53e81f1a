"""Errors for failures of a library on the GPU, from its message, each with the remedy."""

import re
from typing import Final

from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda.driver import free_memory

__all__ = ["failure", "free_in_words"]

_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|cudaError 2\b|ErrorMemoryAllocation|OutOfMemory|failed to allocate memory|ALLOC_FAILED"
    r"|FAILED_ALLOCATION|insufficient memory|smaller than requested bytes",
    re.IGNORECASE,
)
_LOST: Final = re.compile(
    r"illegal (memory access|address|instruction)|IllegalAddress|misaligned address|launch failure|LaunchFailure"
    r"|launch timed out|uncorrectable ECC|device-side assert|hardware stack error|context is destroyed|device is lost",
    re.IGNORECASE,
)
_LONGEST: Final = 400


def failure(who: str, what: str, said: str) -> BackendError:
    """The error to raise.

    Args:
        who: the package, with its version.
        what: the failure, such as ``"does not run 8 slices"``.
        said: message of the package, of any length.

    Returns:
        OutOfMemoryError where the GPU has not enough memory; else a BackendError, of another sentence where the GPU
        is lost to this process.
    """
    words = " ".join(said.split())[:_LONGEST] or "it gives no reason"
    if _OUT_OF_MEMORY.search(words):
        return OutOfMemoryError(
            f"{who} {what}, for want of memory on the GPU, where {free_in_words()} are free ({words}): "
            "close what else uses the GPU, or take another backend."
        )
    if _LOST.search(words):
        return BackendError(
            f"{who} {what}, and the GPU is lost to this process ({words}): start again, and see nvidia-smi."
        )
    return BackendError(f"{who} {what} ({words}): see what ctpdeploy doctor says, or take another backend.")


def free_in_words() -> str:
    """Free memory of the GPU in words, for errors."""
    try:
        return f"{free_memory() / 1e9:.2f} GB"
    except BackendError:
        return "unknown amounts"
