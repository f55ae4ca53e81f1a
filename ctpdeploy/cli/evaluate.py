"""``ctpdeploy evaluate``: scores of a run or a bundle on cases with a lesion drawn."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.terminal import mean_and_std, print_json, print_table, progress, say

if TYPE_CHECKING:
    from ctpdeploy.runtime import Pipeline

__all__ = ["evaluate", "evaluate_cases", "print_scores"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="Run folder (evaluated in torch) or bundle.")],
    data: Annotated[Path, typer.Argument(help="Folder of cases with their lesion masks (OT).")],
    out: Annotated[Path, typer.Option(help="Folder for scores.csv and summary.json.")] = Path("evaluation"),
    backend: Annotated[str, typer.Option(help="Backend for a bundle.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Dice, precision, recall and volume error per case and mean ± std, beside the rule Tmax > 6 s and rCBF < 30 %.

    Example: ctpdeploy evaluate demo/demo.ctpbundle demo/test --out demo/evaluation
    """
    from ctpdeploy.runtime import find_cases

    pipeline, folders = _open(model, backend), find_cases(data)
    _warn_of_training_cases(model, folders)
    summary = evaluate_cases(pipeline, folders, out)
    if as_json:
        print_json(summary)
    else:
        print_scores(summary)
        say(f"Scores of each case are in {out / 'scores.csv'}.")


def _open(model: Path, backend: str) -> "Pipeline":
    """A pipeline from a bundle, or from a run folder with torch as its engine."""
    from ctpdeploy.runtime import Pipeline
    from ctpdeploy.runtime.bundle import MANIFEST

    if (model / MANIFEST).is_file() or not (model / "config.json").is_file():
        return Pipeline.open(model, backend)
    from ctpdeploy.train import open_run

    return open_run(model)


def _warn_of_training_cases(model: Path, folders: list[Path]) -> None:
    """Say so if cases have the names of those that a run was trained on: such scores flatter."""
    from ctpdeploy.runtime.isles2018 import case_name

    split = model / "split.json"
    if split.is_file():
        trained = set(json.loads(split.read_text(encoding="utf-8"))["train"])
        known = sorted(trained & {case_name(folder) for folder in folders})
        if known:
            say(f"Warning: {len(known)} cases are called as cases of the training, {known[0]} among them.")


def evaluate_cases(pipeline: "Pipeline", folders: list[Path], out: Path) -> dict[str, Any]:
    """Score the cases in ``folders`` and write ``scores.csv`` and ``summary.json`` into ``out``."""
    from ctpdeploy.runtime import read_case
    from ctpdeploy.runtime.evaluation import as_csv, score_case, summarise

    scores = []
    with progress() as display:
        task = display.add_task("evaluate", total=len(folders), text="")
        for folder in folders:
            display.update(task, text=folder.name)
            case = read_case(folder)
            scores.append(score_case(case, pipeline.predict(case)))
            display.advance(task)
    summary = {"intended_use": INTENDED_USE, **summarise(scores)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "scores.csv").write_text(as_csv(scores), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary


def print_scores(summary: dict[str, Any]) -> None:
    """The summary as a table: methods down, scores across."""
    from ctpdeploy.runtime.evaluation import SCORES
    from ctpdeploy.runtime.threshold_rule import RULE

    names = {"networks": "networks", "threshold_rule": RULE}
    rows = [
        [label, *(mean_and_std(summary[method][s]["mean"], summary[method][s]["std"]) for s in SCORES)]
        for method, label in names.items()
    ]
    print_table([f"mean ± std of {summary['cases']} cases", "Dice", "precision", "recall", "volume error"], rows)
