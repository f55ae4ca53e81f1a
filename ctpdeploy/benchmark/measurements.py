"""Measurements of warm backends in rounds: from files to files, by slices, network by network, and by frames."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from ctpdeploy.benchmark.ceilings import Ceilings, measure_ceilings
from ctpdeploy.benchmark.checks import Steady
from ctpdeploy.benchmark.interleave import timed
from ctpdeploy.benchmark.per_network import networks_alone
from ctpdeploy.benchmark.stages import FileRun, run_files
from ctpdeploy.benchmark.subsample import middle_slices, write_every_nth_frame
from ctpdeploy.runtime import Bundle, Case, CaseRef, Pipeline, read_case, write_prediction
from ctpdeploy.runtime.gate.gate import reference_of
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess
from ctpdeploy.runtime.quality.inspection import inspect
from ctpdeploy.runtime.quality.plausibility import implausible

__all__ = ["BackendTurns", "FrameTurns", "Turns"]

_FRAME_STEPS: Final = (4, 2, 1)
"""Every so many-th frame."""


@dataclass(frozen=True, kw_only=True)
class BackendTurns:
    """Times of a backend, round by round; seconds.

    Attributes:
        files: from the case's files to the result's.
        latency: from a case in memory to its mask in memory, by slices.
        networks: of these the networks alone.
        alone: each network on one slice, by its role.
    """

    files: list[FileRun] = field(default_factory=list)
    latency: Mapping[int, list[float]]
    networks: Mapping[int, list[float]]
    alone: Mapping[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class FrameTurns:
    """Times before the networks for a case of so many frames, round by round; seconds."""

    read: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    preprocess: list[float] = field(default_factory=list)


class Turns:
    """The tasks of a round, and what they measured so far.

    Args:
        bundle: is open.
        pipelines: on that bundle, by backend; checked.
        ref: of the case.
        scratch: folder for what is written.

    Attributes:
        case: as read.
        backends: by name.
        frames: by number of frames.
        ceilings: of each round.
    """

    def __init__(self, bundle: Bundle, pipelines: Mapping[str, Pipeline], ref: CaseRef, scratch: Path) -> None:
        self.case = ref.read(bundle.perfusion)
        self._pipelines, self._ref, self._scratch, self._steady = pipelines, ref, scratch, Steady()
        self._slices = self.case.series.shape[1]
        self._cut = {count: middle_slices(self.case, count) for count in {1, -(-self._slices // 2)} - {self._slices}}
        self._counts = sorted({*self._cut, self._slices})
        reference = reference_of(bundle)
        self._alone = {name: networks_alone(bundle, name, reference) for name in pipelines}
        self.backends = {
            name: BackendTurns(
                latency={count: [] for count in self._counts},
                networks={count: [] for count in self._counts},
                alone={role: [] for role in self._alone[name]},
            )
            for name in pipelines
        }
        self._thinned = _thinned(ref, self.case, bundle.preprocess, scratch)
        self.frames = {count: FrameTurns() for count in self._thinned}
        self.ceilings: list[Ceilings] = []

    def warm_up(self) -> float:
        """Let each backend and the writers run once; returns about how many seconds a round will take."""
        seconds = 0.0
        for name, pipeline in self._pipelines.items():
            case = middle_slices(self.case, 1)
            prediction = pipeline.predict(case)
            write = partial(write_prediction, self._scratch / name, case, prediction)
            write()  # the first time, packages are imported
            one_slice = timed(partial(pipeline.predict, case))()
            seconds += (sum(self._counts) + bool(self._alone[name])) * one_slice + timed(write)()
        return seconds

    def tasks(self) -> dict[str, Callable[[], object]]:
        """The tasks of a round, by name."""
        tasks: dict[str, Callable[[], object]] = {"the machine": lambda: self.ceilings.append(measure_ceilings())}
        for name in self._pipelines:
            tasks[f"{name}, files to files"] = partial(self._run_files, name)
            tasks |= {f"{name}, {count} slices": partial(self._predict, name, count) for count in self._cut}
            tasks |= {f"{name}, {role}": partial(self._run_alone, name, role) for role in self._alone[name]}
        return tasks | {f"{count} frames": partial(self._prepare, count) for count in self._thinned}

    def _run_files(self, name: str) -> None:
        run = run_files(self._pipelines[name], self._ref, self._scratch / name)
        self._steady.require(f"{name}, {self.case.identifier}", run.prediction)
        backend = self.backends[name]
        backend.files.append(run)
        backend.latency[self._slices].append(run.predict)
        backend.networks[self._slices].append(run.prediction.outputs.seconds["networks"])

    def _predict(self, name: str, count: int) -> None:
        case = self._cut[count]
        start = time.perf_counter()
        prediction = self._pipelines[name].predict(case)
        self.backends[name].latency[count].append(time.perf_counter() - start)
        self.backends[name].networks[count].append(prediction.outputs.seconds["networks"])
        self._steady.require(f"{name}, {case.identifier}", prediction)

    def _run_alone(self, name: str, role: str) -> None:
        self.backends[name].alone[role].append(timed(self._alone[name][role])())

    def _prepare(self, count: int) -> None:
        pipeline = next(iter(self._pipelines.values()))
        start = time.perf_counter()
        case = read_case(self._thinned[count], pipeline.perfusion)
        read = time.perf_counter()
        inspect(case.series, case.times, case.geometry.spacing, case.maps, called=case.identifier)
        implausible(case)
        checked = time.perf_counter()
        preprocess(case, pipeline.config)
        self.frames[count].preprocess.append(time.perf_counter() - checked)
        self.frames[count].checks.append(checked - read)
        self.frames[count].read.append(read - start)


def _thinned(ref: CaseRef, case: Case, config: PreprocessConfig, scratch: Path) -> dict[int, Path]:
    """Folders of the case with fewer frames, enough for the networks, by their number."""
    found = {}
    for step in _FRAME_STEPS:
        count = len(np.arange(len(case.series))[::step])
        if count >= config.frames:
            found[count] = write_every_nth_frame(ref, step, scratch / f"{count} frames")
    return found
