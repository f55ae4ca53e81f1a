"""The CUDA kernels compiled for the processor."""

from pathlib import Path
from typing import Final

from ctpdeploy.runtime.backends.cuda.build import run_compiler
from ctpdeploy.runtime.backends.cuda.fatbin import SOURCE

__all__ = ["build_host_library"]

_HOST: Final = Path(__file__).parent / "host"

_GXX_OPTIONS: Final = (
    "-std=c++20",
    "-O2",
    "-g1",
    "-ffp-contract=off",
    "-fno-strict-aliasing",
    "-Wall",
    "-Wno-unknown-pragmas",
    "-Werror",
    "-fPIC",
    "-shared",
)


def build_host_library(target: Path, *, sanitize: bool = False, compiler: str = "g++") -> None:
    """Compile the kernels for the CPU, as :class:`ctpdeploy.emulator.device.HostDevice` takes them.

    Args:
        target: the shared library.
        sanitize: with AddressSanitizer and UndefinedBehaviorSanitizer; the process must preload their libraries.
        compiler: g++ or one that takes its options.

    Raises:
        BackendError: there is no compiler, or it refuses.
    """
    extra = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if sanitize else []
    includes = [f"-I{SOURCE.parent}", f"-I{_HOST.parent}"]
    command = [compiler, *_GXX_OPTIONS, *includes, *extra, "-o", str(target.absolute()), str(_HOST / "library.cpp")]
    run_compiler(command)
