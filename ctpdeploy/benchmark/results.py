"""Results of a benchmark: figures in seconds and bytes, ready for JSON."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ctpdeploy import INTENDED_USE
from ctpdeploy.benchmark.processes import ProcessRun
from ctpdeploy.benchmark.quantiles import COUNT_RULE, Quantiles
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["SCHEMA", "BackendResults", "Check", "FrameCost", "Results", "SliceCost"]

SCHEMA: Final = 2


@dataclass(frozen=True, kw_only=True)
class Check:
    """Errors of an engine at the gate, against torch in float64.

    Attributes:
        times_eager_error: root mean square error of the probability, in units of eager float32 torch's own.
        flips: labels that differ from the reference's.
        lesion_pixels: of the reference's masks.
        dice: between the masks.
    """

    times_eager_error: float
    flips: int
    lesion_pixels: int
    dice: float


@dataclass(frozen=True, kw_only=True)
class SliceCost:
    """Cost of so many slices at once, from a case in memory to its mask in memory.

    Attributes:
        slices: how many; also the batch that the engine is given.
        latency_s: all of it.
        networks_s: the networks alone, median.
    """

    slices: int
    latency_s: Quantiles
    networks_s: float


@dataclass(frozen=True, kw_only=True)
class FrameCost:
    """Cost of so many frames before the networks, on the processor; medians.

    Attributes:
        frames: how many.
        read_s: to read the case, the checks of its contents among it.
        checks_s: these checks alone.
        preprocess_s: to preprocess it.
    """

    frames: int
    read_s: float
    checks_s: float
    preprocess_s: float


@dataclass(frozen=True, kw_only=True)
class BackendResults:
    """Results of one backend.

    Attributes:
        engine: name, device and versions of the engine.
        check: of its outputs.
        open_s: to open it, with the files in memory already.
        files_s: from the case's files to the result's, warm.
        stages_s: median of each stage of that, in the order in which they run.
        unaccounted: share of ``files_s`` that no stage has, median.
        networks_share: of the time of the networks one by one, by network; empty where they do not run alone.
        by_slices: cost by number of slices; the first is one slice, the last the whole case.
        folder_case_s: for each case of a folder, warm, where stages of neighbours overlap.
        process: a new process of ``ctpdeploy infer`` on the case.
        times_first: how many times faster than the first backend of the run, by what was measured: of ratios within
            rounds.
    """

    engine: EngineInfo
    check: Check
    open_s: float
    files_s: Quantiles
    stages_s: Mapping[str, float]
    unaccounted: float
    networks_share: Mapping[str, float]
    by_slices: tuple[SliceCost, ...]
    folder_case_s: float
    process: ProcessRun
    times_first: Mapping[str, Quantiles] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Results:
    """All figures of one run.

    Attributes:
        machine: that it ran on.
        bundle: its name, sha256, system and precision.
        case: name, slices, rows, columns and frames, and whether it is synthetic.
        folder_cases: cases in the folder.
        rounds: how many.
        seed: of the order of turns.
        seconds: that the run took.
        sgemm_gflops: the matrix product, round by round.
        copy_gb_per_s: the copy, likewise.
        other_cores: kept busy by other work, on average; None where the system has no figure.
        by_frames: cost by length of the series.
        backends: by name.
    """

    machine: Mapping[str, Any]
    bundle: Mapping[str, str]
    case: Mapping[str, Any]
    folder_cases: int
    rounds: int
    seed: int
    seconds: float
    sgemm_gflops: Quantiles
    copy_gb_per_s: Quantiles
    other_cores: float | None
    by_frames: tuple[FrameCost, ...]
    backends: Mapping[str, BackendResults]

    def to_json(self) -> dict[str, Any]:
        """As JSON values, floats with four significant digits."""
        head = {"schema": SCHEMA, "intended_use": INTENDED_USE, "count_rule": COUNT_RULE}
        return head | _rounded(dataclasses.asdict(self))


def _rounded(value: Any) -> Any:  # noqa: ANN401  any JSON value
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, Mapping):
        return {str(key): _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value
