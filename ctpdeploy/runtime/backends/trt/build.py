"""From a parsed network to a serialised engine."""

from dataclasses import dataclass
from types import ModuleType

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.build_options import BuildOptions
from ctpdeploy.runtime.backends.trt.callbacks import Progress, progress_monitor
from ctpdeploy.runtime.backends.trt.packages import Native
from ctpdeploy.runtime.backends.trt.parse import ParsedNetwork

__all__ = ["BuildResult", "build", "require_capabilities"]


@dataclass(frozen=True, kw_only=True)
class BuildResult:
    """A serialised engine and the timings of its build.

    Attributes:
        engine: the serialised engine. It is executable code: load none that this program did not build.
        timings: measurements of the GPU that make the next build faster; None if not requested.
    """

    engine: bytes
    timings: bytes | None


def build(
    parsed: ParsedNetwork, options: BuildOptions, progress: Progress, *, timings: bytes | None = None
) -> BuildResult:
    """Build the engine of a network.

    Args:
        parsed: the network.
        options: GPUs, batch sizes, precision and effort.
        progress: called with the share that is done; an exception in it stops the build and is raised here.
        timings: of an earlier build, empty at first; None to measure without keeping them.

    Raises:
        BackendError: the package refuses; with what it logged.
    """
    monitor = progress_monitor(parsed.trt, progress)
    config = parsed.builder.create_builder_config()
    config.progress_monitor = monitor
    config.builder_optimization_level = options.optimisation_level
    config.profiling_verbosity = parsed.trt.ProfilingVerbosity.DETAILED  # so that the engine carries its description
    # by default products of float32 are taken with 10 bits of mantissa; the export was verified with 23
    config.clear_flag(parsed.trt.BuilderFlag.TF32)
    if (ours := getattr(parsed.trt.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)) is not None:
        config.set_flag(ours)  # else TensorRT-RTX may allocate in a run, which no CUDA graph can hold
    _set_capabilities(parsed, config, options.target.capabilities)
    _add_profile(parsed, config, options.slices)
    if timings is not None:
        config.set_timing_cache(config.create_timing_cache(timings), ignore_mismatch=False)
    engine = parsed.builder.build_serialized_network(parsed.network, config)
    if monitor.interruption is not None:
        raise monitor.interruption
    if engine is None:
        raise _refusal(parsed, "builds no engine")
    kept = None if timings is None else bytes(config.get_timing_cache().serialize())
    return BuildResult(engine=bytes(engine), timings=kept)


def require_capabilities(trt: ModuleType, capabilities: tuple[str, ...]) -> list[Native]:
    """Compute capabilities as a portable package names them.

    Raises:
        BackendError: it does not build for one of them.
    """
    known = trt.ComputeCapability.__members__
    names = ["SM" + capability.replace(".", "") for capability in capabilities]
    if unknown := [text for text, name in zip(capabilities, names, strict=True) if name not in known]:
        choices = ", ".join(f"{name[2:-1]}.{name[-1]}" for name in known if name.startswith("SM"))
        raise BackendError(
            f"{trt.__name__} {trt.__version__} does not build for compute capability "
            f"{', '.join(unknown)}: choose from {choices}, or another backend."
        )
    return [known[name] for name in names]


def _set_capabilities(parsed: ParsedNetwork, config: Native, capabilities: tuple[str, ...]) -> None:
    if not capabilities:
        return
    native = require_capabilities(parsed.trt, capabilities)
    config.num_compute_capabilities = len(native)
    for index, capability in enumerate(native):
        if not config.set_compute_capability(capability, index):
            raise _refusal(parsed, f"does not build for compute capability {capabilities[index]}")


def _add_profile(parsed: ParsedNetwork, config: Native, slices: tuple[int, int, int]) -> None:
    """One range of batch sizes; height and width are those of the network."""
    profile = parsed.builder.create_optimization_profile()
    for i in range(parsed.network.num_inputs):
        tensor = parsed.network.get_input(i)
        rest = tuple(tensor.shape)[1:]
        profile.set_shape(tensor.name, *((n, *rest) for n in slices))
    if config.add_optimization_profile(profile) < 0:
        raise _refusal(parsed, f"takes no batches of {slices[0]} to {slices[-1]} slices")


def _refusal(parsed: ParsedNetwork, what: str) -> BackendError:
    return BackendError(
        f"{parsed.trt.__name__} {parsed.trt.__version__} {what}: {parsed.logger.reasons()}; choose another backend."
    )
