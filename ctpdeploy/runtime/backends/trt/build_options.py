"""Options of a build: GPUs, numbers of slices, and precision."""

from dataclasses import dataclass

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends.cuda.driver import Gpu, probe
from ctpdeploy.runtime.backends.trt.packages import TensorRTPackage
from ctpdeploy.runtime.backends.trt.precision import PRECISIONS

__all__ = ["BuildOptions", "Target", "choose_target"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The GPUs that an engine is for.

    Attributes:
        gpu: the one that is there; None for an engine that is built away from its GPU.
        cuda: CUDA version of the driver beside ``gpu``.
        capabilities: compute capabilities that a portable package builds for; none of them is its portable default.
    """

    gpu: Gpu | None = None
    cuda: str | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """All that an engine depends on besides the network and the package.

    Attributes:
        target: the GPUs that it is for.
        slices: fewest, most likely and most slices of a batch; the engine is fastest at the second.
        precision: requested number format, one of ``PRECISIONS``.
        optimisation_level: 0 to 5; higher levels build longer.
    """

    target: Target
    slices: tuple[int, int, int] = (1, 8, 32)
    precision: str = "fp32"
    optimisation_level: int = 3

    def __post_init__(self) -> None:
        fewest, likely, most = self.slices
        if not 1 <= fewest <= likely <= most:
            raise UsageError(f"Slices {fewest},{likely},{most} do not rise from 1: give for example 1,8,32.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"There is no precision '{self.precision}': choose {', '.join(PRECISIONS)}.")


def choose_target(package: TensorRTPackage, capabilities: tuple[str, ...] | None = None) -> Target:
    """The GPUs to build for.

    Args:
        package: the package that builds.
        capabilities: such as ``("8.6", "8.9")``; empty for the package's portable default; None for the GPU that is
            there, or without one the portable default.

    Raises:
        UsageError: the package builds only for the GPU that is there.
        BackendError: and there is none.
    """
    if package.portable:
        return Target(capabilities=_gpu_there() if capabilities is None else tuple(sorted(set(capabilities))))
    if capabilities is not None:
        raise UsageError(f"{package.backend} builds for the GPU that is there: leave the compute capabilities out.")
    driver = probe()
    return Target(gpu=driver.gpus[0], cuda=driver.cuda)


def _gpu_there() -> tuple[str, ...]:
    try:
        return (probe().gpus[0].compute_capability,)
    except BackendError:
        return ()
