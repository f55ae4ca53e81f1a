"""A folder of cases beside its networks alone: the share of a backend's speed from files to masks.

The work of ``ctpdeploy infer`` on a folder, in a process that is warm, takes turns with the networks alone on the same
slices in memory, case by case. Their quotient would be 1 if reading, preprocessing, masks, volumes, pictures and
reports found a core that the networks leave idle, or cost nothing; core seconds measure their cost. The networks are
trained ones made wide (see ``widen_networks.py``), since the work behind them depends on the mask. Outputs are checked
first.

    python claims/folder.py --backend ncnn --out claims/results/folder-MACHINE.json
    python claims/folder.py --width 8 --size 128 --cases 2 --rounds 2      # a rehearsal
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from rounded import rounded
from widen_networks import wide_bundle

from ctpdeploy.benchmark.ceilings import Ceilings, measure_ceilings
from ctpdeploy.benchmark.checks import require_right
from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.benchmark.stages import run_folder
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Bundle, CaseRef, Pipeline, find_cases
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.registry import AUTO, choose, open_engine
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import preprocess
from ctpdeploy.runtime.report.writers import REPORT

__all__ = ["SCHEMA", "compare"]

SCHEMA: Final = 1
"""Of what is written."""
FRAMES: Final = 45
SEED: Final = 7
NETWORKS, FOLDER, MACHINE = "the networks alone", "the folder", "the machine"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Time of a task.

    Attributes:
        seconds: by the clock.
        core_seconds: of all threads of this process, those that wait busily too.
    """

    seconds: float
    core_seconds: float


def cost_of(run: Callable[[], object]) -> Cost:
    """Run something once."""
    start, used = time.perf_counter(), time.process_time()
    run()
    return Cost(seconds=time.perf_counter() - start, core_seconds=time.process_time() - used)


def compare(pipeline: Pipeline, cases: Sequence[CaseRef], out: Path, rounds: int) -> dict[str, Any]:
    """Take turns.

    Args:
        pipeline: is open; its outputs are right.
        cases: of different names.
        out: folder of results.
        rounds: how many.
    """
    batches = [preprocess(case.read(), pipeline.config)[0] for case in cases]
    ceilings: list[Ceilings] = []
    stages: list[dict[str, float]] = []
    tasks: dict[str, Callable[[], Cost]] = {
        MACHINE: lambda: cost_of(lambda: ceilings.append(measure_ceilings())),
        NETWORKS: lambda: cost_of(lambda: run_networks(pipeline, batches)),
        FOLDER: lambda: cost_of(lambda: run_folder(pipeline, cases, out)),
    }
    run_folder(pipeline, cases[:1], out)  # the first time, packages are imported
    load = OtherLoad()
    taken = interleave(tasks, rounds=rounds, seed=0)
    slices = sum(len(batch.frames) for batch in batches)
    for case in cases:
        report = json.loads((out / case.name / REPORT).read_text(encoding="utf-8"))
        stages.append(report["seconds"])
    networks, whole = ([cost.seconds for cost in taken[name]] for name in (NETWORKS, FOLDER))
    beside = [
        (folder.core_seconds - alone.core_seconds) / len(cases)
        for folder, alone in zip(taken[FOLDER], taken[NETWORKS], strict=True)
    ]
    return {
        "of_networks": asdict(Quantiles.of_ratio(networks, whole)),
        "networks_slice_s": asdict(Quantiles.of([seconds / slices for seconds in networks])),
        "folder_slice_s": asdict(Quantiles.of([seconds / slices for seconds in whole])),
        "core_seconds_beside_networks_a_case": median(beside),
        "stages_s": {stage: median(seconds[stage] for seconds in stages) for stage in stages[0]},
        "sgemm_gflops": asdict(Quantiles.of([x.sgemm_gflops for x in ceilings])),
        "copy_gb_per_s": asdict(Quantiles.of([x.copy_gb_per_s for x in ceilings])),
        "other_cores": load.cores(),
    }


def run_networks(pipeline: Pipeline, batches: Sequence[SliceBatch]) -> None:
    """The networks on what is in memory already."""
    for batch in batches:
        pipeline.engine.run(batch)


def patients(folder: Path, *, cases: int, slices: int, size: int) -> list[CaseRef]:
    """Synthetic patients on disk, made once."""
    made = folder / f"patients-{size}-{slices}-{FRAMES}-{cases}"
    if not made.exists():
        config = PhantomConfig(size=size, slices=slices, frames=FRAMES)
        write_dataset(made, cases=cases, seed=SEED, config=config)
    return find_cases(made)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default=AUTO)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--slices", type=int, default=5, help="of each case")
    parser.add_argument("--width", type=int, default=64, help="of the networks; 64 is the source's")
    parser.add_argument("--size", type=int, default=256, help="rows and columns, a multiple of 16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=Path, help="a trained run to widen; by default one is trained here first")
    parser.add_argument("--work", type=Path, help="where networks and cases are kept for the next time")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        path = wide_bundle(work, width=options.width, size=options.size, run=options.run)
        cases = patients(work, cases=options.cases, slices=options.slices, size=options.size)
        with Bundle.open(path) as bundle:
            backend = choose(bundle, options.backend).backend
            pipeline = Pipeline(open_engine(bundle, backend), bundle.preprocess)
            require_right(bundle, {backend: pipeline})
        found = compare(pipeline, cases, Path(scratch) / "results", options.rounds)
    machine = describe_machine()
    result = {
        "schema": SCHEMA,
        "machine": machine | {"versions": machine["versions"] | versions_of("isal", *pipeline.engine.info.versions)},
        "backend": backend,
        "width": options.width,
        "size": options.size,
        "cases": options.cases,
        "slices": options.slices,
        "frames": FRAMES,
        "rounds": options.rounds,
        **found,
    }
    text = json.dumps(rounded(result), indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
