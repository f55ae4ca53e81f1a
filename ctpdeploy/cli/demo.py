"""``ctpdeploy demo``: from nothing to lesion masks in a few minutes."""

import time
from pathlib import Path
from typing import Annotated

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.terminal import say

__all__ = ["demo"]

TRAIN_SEED, TEST_SEED = 1, 2
TRAIN_CASES, TEST_CASES = 144, 60
SIZE = 128


def demo(
    out: Annotated[Path, typer.Argument(help="Folder for everything that is made.")] = Path("demo"),
) -> None:
    """Make synthetic patients, train on them, export, and find the lesions of patients never seen.

    Takes a few minutes on two cores. Patients are synthetic: scores show that everything works, and nothing clinical.
    """
    from ctpdeploy.cli.evaluate import evaluate_with_progress, print_main_scores
    from ctpdeploy.cli.export import export_bundle
    from ctpdeploy.cli.infer import infer_with_progress, print_reports
    from ctpdeploy.cli.phantom import make_cases
    from ctpdeploy.cli.train import train_run
    from ctpdeploy.errors import UsageError
    from ctpdeploy.phantom import PhantomConfig
    from ctpdeploy.runtime import ANYONE, Pipeline, find_cases
    from ctpdeploy.train import PRESETS

    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: remove it, or name another folder: ctpdeploy demo FOLDER.")
    start = time.perf_counter()
    config = PhantomConfig(size=SIZE)
    say(f"1/5  {TRAIN_CASES} synthetic patients to train on, {TEST_CASES} to test on")
    make_cases(out / "train", cases=TRAIN_CASES, seed=TRAIN_SEED, config=config)
    make_cases(out / "test", cases=TEST_CASES, seed=TEST_SEED, config=config, first=TRAIN_CASES + 1)
    say("2/5  training extractor, generator and SLNet end to end (preset tiny)")
    train_run(out / "train", out / "run", PRESETS["tiny"], cache=out / "cache")
    say("3/5  export: fold, ONNX, and the gate against torch in float64")
    bundle = out / "demo.ctpbundle"
    export_bundle(out / "run", bundle)
    say("4/5  inference of the test patients from disk, without torch")
    cases = find_cases(out / "test")
    print_reports(infer_with_progress(bundle, cases, out / "results", signer=ANYONE).reports, out / "results")
    say("5/5  scores of the test patients")
    with Pipeline.open(bundle, signer=ANYONE) as pipeline:
        summary = evaluate_with_progress(pipeline, cases, out / "evaluation")
    print_main_scores(summary)
    say(f"All scores: ctpdeploy evaluate {bundle} {out / 'test'}, and in {out / 'evaluation'}.")
    say("", f"Done in {time.perf_counter() - start:.0f} s. Look at {out / 'results'}/*/overview.png.")
    say(f"Synthetic patients: these scores are not clinical. {INTENDED_USE}")
