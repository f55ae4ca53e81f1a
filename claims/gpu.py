"""All measurements on a machine with a GPU, in one run of less than eight minutes and without a network.

Checked against the references: every kernel, every way to run the networks. Measured: the GPU's ceilings; each kernel
as a share of the copy; the networks with and without copies and the whole way from series to mask, by slices, for
PyTorch and for every backend of ctpdeploy that can run, taking turns in random order; cold start and memory. What the
machine lacks is listed, and parts for which the time does not suffice are left out and listed too. Without a GPU it
ends with a sentence and exit code 5; if anything is wrong, with 6, after printing all results.

    python claims/gpu.py --out gpu.json --markdown gpu.md
    python claims/gpu.py --rehearse          # the same steps, small, on the processor: the figures mean nothing
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from gpu_kernels import measure_kernels, open_device
from gpu_report import markdown
from gpu_torch import VARIANTS, TorchNetworks, ceilings, truth
from networks import case_folder, gflop, half_bundle, random_bundle, random_chain
from numpy.typing import NDArray
from peers import plain

from ctpdeploy.benchmark.checks import require_right, require_same_way
from ctpdeploy.benchmark.interleave import interleave, rounds_within, timed
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.processes import run_infer
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.benchmark.subsample import middle_slices
from ctpdeploy.errors import BackendError, CtpdeployError, ExitCode, GuardError
from ctpdeploy.runtime import Bundle, Case, Pipeline, find_cases, read_case
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.gate import reference_of
from ctpdeploy.runtime.gate.reference import CHAIN
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

PACKAGES: Final = ("torch", "triton", "cupy", "pycuda", "onnxruntime", "onnxruntime-gpu", "tensorrt", "tensorrt-rtx")
FIRST: Final = "torch eager float32"
SLICES: Final = 2
"""Of the case on disk; in memory they are repeated."""
FLIPPED: Final = 0.02
"""Share of labels in which PyTorch in float16 may differ from float64; how many do is stated."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes of the measurements.

    Attributes:
        device: of PyTorch.
        width: of the networks.
        size: rows and columns.
        slices: that are measured.
        compiled: of these, that of what ``torch.compile`` makes: it compiles anew for each number of them.
        frames: of the case.
        backends: of ctpdeploy that are tried.
    """

    device: str
    width: int
    size: int
    slices: tuple[int, ...]
    compiled: int
    frames: int
    backends: tuple[str, ...]


GPU: Final = Scale(
    device="cuda",
    width=64,
    size=256,
    slices=(1, 2, 5, 8, 16, 22),
    compiled=8,
    frames=45,
    backends=("tensorrt", "tensorrt-rtx", "ort-cuda"),
)
REHEARSAL: Final = Scale(
    device="cpu", width=2, size=64, slices=(1, 3), compiled=3, frames=20, backends=("cuda-host", "ort-cpu")
)


class Parts:
    """Runs parts one after the other as long as there is time; keeps what did not work.

    Attributes:
        left_out: why, by part.
        wrong: likewise, where numbers were.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self.left_out: dict[str, str] = {}
        self.wrong: dict[str, str] = {}

    @property
    def seconds_left(self) -> float:
        """Until the budget is spent."""
        return self._end - time.perf_counter()

    def attempt(self, name: str, part: Callable[[], object], needs_s: float = 0.0) -> None:
        """Run a part, if it can end in time."""
        if self.seconds_left < needs_s:
            self.left_out[name] = f"{self.seconds_left:.0f} s are left, and it may need {needs_s:.0f} s"
            return
        print(f"{self.seconds_left:4.0f} s left  {name}", file=sys.stderr, flush=True)
        try:
            part()
        except GuardError as error:
            self.wrong[name] = str(error)
        except (CtpdeployError, ImportError, RuntimeError, OSError) as error:  # torch's own are RuntimeError
            self.left_out[name] = f"{type(error).__name__}: {error}".splitlines()[0]


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """A way to run the networks that gives the right answers.

    Attributes:
        run: slices in host memory to probability in host memory.
        predict: series in memory to mask in memory; returns the seconds of the networks alone, where it measures them.
        check: comparison with the reference.
        without_copies: given slices, the networks alone; None where they cannot be run so.
        only: so many slices at once; None if any.
    """

    run: Callable[[SliceBatch], NDArray[np.float32]]
    predict: Callable[[Case], float | None]
    check: Mapping[str, float]
    without_copies: Callable[[SliceBatch], Callable[[], None]] | None = None
    only: int | None = None


class Evidence:
    """All that is found, part by part."""

    def __init__(self, scale: Scale, work: Path, parts: Parts) -> None:
        self.scale, self._work, self._parts = scale, work, parts
        self.ceilings: dict[str, float] = {}
        self.kernels: list[dict[str, Any]] = []
        self.contestants: dict[str, Contestant] = {}
        self.by_slices: dict[int, dict[str, dict[str, Any]]] = {}
        self.torch_memory_bytes: dict[int, dict[str, int | None]] = {}
        self.processes: dict[str, Any] = {}
        self.bundles: dict[str, Path] = {}
        self.case = _repeated(read_case(self._folder()), max(scale.slices))
        self.config = PreprocessConfig(slice_shape=(scale.size, scale.size))

    def _folder(self) -> Path:
        return case_folder(self._work, size=self.scale.size, slices=SLICES, frames=self.scale.frames)

    def collect(self) -> None:
        """Everything, the cheap and the indispensable first."""
        attempt = self._parts.attempt
        attempt("ceilings", lambda: self.ceilings.update(ceilings(self.scale.device)))
        attempt("kernels", self._kernels, needs_s=20)
        attempt("bundle fp32", self._full_bundle, needs_s=60)
        attempt("bundle fp16", self._half_bundle, needs_s=30)
        for name, variant in VARIANTS.items():
            if not variant.compiled:
                attempt(name, partial(self._torch, name), needs_s=20)
        for precision, bundle in self.bundles.items():
            for name in self.scale.backends:
                called = f"ctpdeploy {name} {precision}"
                attempt(called, partial(self._backend, called, name, bundle), needs_s=30)
        for name, variant in VARIANTS.items():
            if variant.compiled:
                attempt(name, partial(self._torch, name), needs_s=180)
        counts = self.scale.slices
        for i, count in enumerate(counts):
            share = max(0.0, self._parts.seconds_left - 60) / (len(counts) - i)
            attempt(f"{count} slices", partial(self._measure, count, share), needs_s=30)
        for called in [name for name in self.contestants if name.startswith("ctpdeploy")]:
            attempt(f"{called}, new process", partial(self._process, called), needs_s=30)

    def _kernels(self) -> None:
        device = open_device() if self.scale.device == "cuda" else _host_device()
        rows, columns = self.case.series.shape[2:]
        narrow = replace(
            middle_slices(self.case, 2),
            series=self.case.series[:, :2, : rows - 6, : columns - 10].astype(np.float32),
            maps={name: values[:2, : rows - 6, : columns - 10] for name, values in self.case.maps.items()},
        )
        whole = replace(self.case, series=np.rint(self.case.series).astype(np.int16))
        copy = self.ceilings.get("copy_gb_per_s", float("nan"))
        self.kernels = measure_kernels(device, [whole, narrow], self.config, copy)

    def _full_bundle(self) -> None:
        self.bundles["fp32"] = random_bundle(self._work, width=self.scale.width, size=self.scale.size)

    def _half_bundle(self) -> None:
        if "fp32" not in self.bundles:
            raise BackendError("There is no bundle to convert.")
        self.bundles["fp16"] = half_bundle(self.bundles["fp32"])

    def _torch(self, name: str) -> None:
        variant = VARIANTS[name]
        chain = random_chain(self._work, width=self.scale.width, size=self.scale.size)
        batch = preprocess(middle_slices(self.case, self.scale.compiled if variant.compiled else SLICES), self.config)[
            0
        ]
        expected = truth(chain, batch, self.scale.device)
        networks = TorchNetworks(chain, variant, self.scale.device)
        found = networks.run(batch)
        flipped = float(((found > 0.5) != (expected > 0.5)).mean())
        if not flipped <= FLIPPED:
            raise GuardError(f"{flipped:.1%} of the labels are not float64's.")

        def predict(case: Case) -> None:
            networks.predict(case, self.config)

        self.contestants[name] = Contestant(
            run=networks.run,
            predict=predict,
            check={"rms_error": float(np.sqrt(np.square(found - expected).mean())), "labels_flipped": flipped},
            without_copies=networks.without_copies,
            only=self.scale.compiled if variant.compiled else None,
        )

    def _backend(self, called: str, name: str, bundle: Path) -> None:
        backend = BACKENDS.get(name)
        if backend is not None and (reason := backend.refusal()) is not None:
            raise BackendError(reason)
        with Bundle.open(bundle) as opened:
            start = time.perf_counter()
            pipeline = Pipeline(open_engine(opened, name), opened.preprocess)
            open_s = time.perf_counter() - start
            (trial,) = require_right(opened, {name: pipeline}).values()
            require_same_way(opened, name, pipeline, middle_slices(self.case, 1))
            labels = reference_of(opened).outputs[CHAIN].size
        self.contestants[called] = Contestant(
            run=lambda batch: pipeline.engine.run(batch).probability,
            predict=lambda case: pipeline.predict(case).outputs.seconds["networks"],
            check={"rms_error": trial.checks[0].rms_error, "labels_flipped": trial.flips / labels, "open_s": open_s},
        )

    def _measure(self, count: int, seconds: float) -> None:
        """All contestants at so many slices."""
        case = middle_slices(self.case, count)
        batch = preprocess(case, self.config)[0]
        tasks: dict[str, Callable[[], float]] = {}
        contestants = {name: found for name, found in self.contestants.items() if found.only in (None, count)}
        networks: dict[str, list[float]] = {name: [] for name in contestants}
        for name, contestant in contestants.items():
            tasks[f"{name}|with copies"] = timed(partial(contestant.run, batch))
            tasks[f"{name}|series to mask"] = timed(self._predicting(contestant, case, networks[name]))
            if contestant.without_copies is not None:
                tasks[f"{name}|without copies"] = timed(contestant.without_copies(batch))
        for task in tasks.values():
            task()  # new shapes are compiled, captured and allocated
        a_round = sum(task() for task in tasks.values())
        for spent in networks.values():
            spent.clear()
        taken = interleave(tasks, rounds=rounds_within(seconds, a_round), seed=count)
        for name, spent in networks.items():
            if spent:
                taken[f"{name}|without copies"] = spent
        self.torch_memory_bytes[count] = {
            name: _memory(contestant.run, batch)
            for name, contestant in contestants.items()
            if contestant.without_copies is not None
        }
        self.by_slices[count] = {
            name: {
                kind: {"seconds": Quantiles.of(values), "times_eager": _ratio(taken, kind, values)}
                for kind in ("without copies", "with copies", "series to mask")
                if (values := taken.get(f"{name}|{kind}")) is not None
            }
            for name in contestants
        }

    def _predicting(self, contestant: Contestant, case: Case, networks: list[float]) -> Callable[[], None]:
        def run() -> None:
            seconds = contestant.predict(case)
            if seconds is not None:
                networks.append(seconds)

        return run

    def _process(self, called: str) -> None:
        _, name, precision = called.split()
        self.processes[called] = run_infer(self.bundles[precision], find_cases(self._folder())[0], name)


def _repeated(case: Case, slices: int) -> Case:
    """The case with its slices over and over, until there are so many: patients with many take long to make."""
    again = np.arange(slices) % case.series.shape[1]
    maps = {name: values[again] for name, values in case.maps.items()}
    return replace(case, series=case.series[:, again], maps=maps, dwi=None, lesion=None)


def _ratio(taken: Mapping[str, list[float]], kind: str, values: list[float]) -> float | None:
    first = taken.get(f"{FIRST}|{kind}")
    return None if first is None else Quantiles.of_ratio(first, values).p50


def _memory(run: Callable[[SliceBatch], object], batch: SliceBatch) -> int | None:
    """Peak bytes that PyTorch takes for a run beyond those held before."""
    if not torch.cuda.is_available():
        return None
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run(batch)
    return max(0, torch.cuda.max_memory_allocated() - before)


def _host_device() -> Any:  # noqa: ANN401  of a module that only developers need
    """The kernels on the processor, compiled now."""
    from ctpdeploy.emulator.build import build_host_library
    from ctpdeploy.emulator.device import HostDevice

    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "kernels.so"
        build_host_library(library)
        return HostDevice(library)


def main() -> int:
    """Collect, print and write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="small, on the processor: whether all steps work")
    parser.add_argument("--seconds", type=float, default=450, help="when to have ended")
    parser.add_argument("--work", type=Path, help="where networks and cases are kept for the next time")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--markdown", type=Path, help="a section for docs/gpu-evidence.md")
    options = parser.parse_args()
    scale = REHEARSAL if options.rehearse else GPU
    parts, load, machine = Parts(options.seconds), OtherLoad(), describe_machine()
    if not machine["gpus"] and not options.rehearse:
        print(f"There is nothing to measure. {machine['no_gpu_because']}", file=sys.stderr)
        return ExitCode.BACKEND
    with tempfile.TemporaryDirectory() as scratch:
        evidence = Evidence(scale, options.work or Path(scratch), parts)
        evidence.collect()
    found = plain(
        {
            "rehearsal": options.rehearse,
            "machine": machine | {"versions": machine["versions"] | versions_of(*PACKAGES)},
            "width": scale.width,
            "size": scale.size,
            "gflop_a_slice": gflop(scale.width, scale.size),
            "other_cores": load.cores(),
            "ceilings": evidence.ceilings,
            "kernels": evidence.kernels,
            "checks": {name: dict(contestant.check) for name, contestant in evidence.contestants.items()},
            "by_slices": evidence.by_slices,
            "torch_memory_bytes": evidence.torch_memory_bytes,
            "processes": evidence.processes,
            "left_out": parts.left_out,
            "wrong": parts.wrong,
        }
    )
    report = markdown(found)
    print(report)
    for file, text in ((options.out, json.dumps(found, indent=2) + "\n"), (options.markdown, report)):
        if file:
            file.write_text(text, encoding="utf-8")
    return ExitCode.GUARD if parts.wrong else ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main())
