"""A field around the head beside whole slices: ``ctpdeploy infer``'s work on the same cases, from files to masks.

Two trained runs, one of each, made wide and fine (see ``widen_networks.py``), take turns on a folder of cases, in a
process that is warm. Quoted is the median over rounds of the ratio within a round, beside the share of pixels. Dice is
that of these cases, by networks that were trained on pixels twice as large: whether the field costs any is for
``ctpdeploy evaluate`` to say, on the runs themselves. Outputs are checked first.

    ctpdeploy train data --out head --preset tiny
    ctpdeploy train data --out whole --preset tiny --set preprocess.pixel_mm=0 --set preprocess.slice_shape=[128,128]
    python claims/head_grid.py --head head --whole whole --out claims/results/head-grid-MACHINE.json
"""

import argparse
import json
import math
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

from folder import patients
from rounded import rounded
from widen_networks import wide_bundle

from ctpdeploy.benchmark.ceilings import measure_ceilings
from ctpdeploy.benchmark.checks import require_right
from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.benchmark.stages import run_folder
from ctpdeploy.runtime import Bundle, CaseRef, Pipeline
from ctpdeploy.runtime.backends.registry import open_engine
from ctpdeploy.runtime.metrics.overlap import agreement

GRIDS: Final = ("head", "whole")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--head", type=Path, required=True, help="a run with a field around the head")
    parser.add_argument("--whole", type=Path, required=True, help="a run that sees whole slices")
    parser.add_argument("--backend", default="native")
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--slices", type=int, default=4, help="of each case")
    parser.add_argument("--width", type=int, default=64, help="of the networks; 64 is the source's")
    parser.add_argument("--size", type=int, default=256, help="rows and columns of a whole slice")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, help="where networks and cases are kept for the next time")
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        cases = patients(work, cases=options.cases, slices=options.slices, size=options.size)
        runs = {"head": options.head, "whole": options.whole}
        pipelines = {
            grid: _pipeline(work / grid, runs[grid], options.backend, options.width, options.size) for grid in GRIDS
        }
        for grid, pipeline in pipelines.items():
            run_folder(pipeline, cases[:1], Path(scratch) / grid)  # the first time, packages are imported
        load = OtherLoad()
        sgemm = measure_ceilings().sgemm_gflops
        taken = interleave(
            {grid: partial(run_folder, pipeline, cases, Path(scratch) / grid) for grid, pipeline in pipelines.items()},
            rounds=options.rounds,
            seed=0,
        )
        other = load.cores()
        scores = {grid: _dice(pipeline, cases) for grid, pipeline in pipelines.items()}
    pixels = {grid: math.prod(pipeline.config.slice_shape) for grid, pipeline in pipelines.items()}
    result = {
        "machine": describe_machine(),
        "backend": options.backend,
        "width": options.width,
        "grids": {grid: list(pipeline.config.slice_shape) for grid, pipeline in pipelines.items()},
        "cases": len(cases),
        "slices": options.slices,
        "case_s": {grid: vars(Quantiles.of(seconds)) for grid, seconds in taken.items()},
        "times_faster": vars(Quantiles.of_ratio(taken["whole"], taken["head"])),
        "times_fewer_pixels": pixels["whole"] / pixels["head"],
        "dice": scores,
        "sgemm_gflops": sgemm,
        "other_cores": other,
    }
    text = json.dumps(rounded(result), indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


def _pipeline(folder: Path, run: Path, backend: str, width: int, size: int) -> Pipeline:
    """The pipeline of a run made wide and fine, its outputs right."""
    folder.mkdir(parents=True, exist_ok=True)
    with Bundle.open(wide_bundle(folder, width=width, size=size, run=run)) as bundle:
        pipeline = Pipeline(open_engine(bundle, backend), bundle.preprocess)
        require_right(bundle, {backend: pipeline})
    return pipeline


def _dice(pipeline: Pipeline, cases: list[CaseRef]) -> float:
    """Mean over the cases."""
    scores = []
    for ref in cases:
        case = ref.read(pipeline.perfusion)
        scores.append(agreement(pipeline.predict(case).outputs.mask, case.lesion, case.geometry.source_voxel_ml).dice)
    return sum(scores) / len(scores)


if __name__ == "__main__":
    main()
