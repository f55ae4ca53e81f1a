"""``ctpdeploy evaluate``: scores of a run or a bundle on cases with a lesion drawn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctpdeploy.cli.options import AnySignature, RequiredSignature, signer_of, with_emulator
from ctpdeploy.cli.terminal import mean_and_std, print_json, print_lines, print_table, progress, say, say_found
from ctpdeploy.errors import BatchError, install_with

if TYPE_CHECKING:
    from ctpdeploy.runtime import CaseRef, Pipeline
    from ctpdeploy.runtime.bundle.trust import Signer

__all__ = ["evaluate", "evaluate_with_progress", "print_main_scores", "print_scores"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="Run folder (evaluated in torch) or bundle.")],
    data: Annotated[Path, typer.Argument(help="Folder of cases with their lesion masks (OT).")],
    out: Annotated[Path, typer.Option(help="Folder for scores.csv, scores.json, summary.json.")] = Path("evaluation"),
    backend: Annotated[str, typer.Option(help="Backend for a bundle.", callback=with_emulator)] = "auto",
    require_signature: RequiredSignature = None,
    no_require_signature: AnySignature = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Scores of each case and mean ± std, beside the rule Tmax > 6 s and rCBF < 30 %.

    Dice: overlap, 1 at best. AP, average precision: how well the probability orders the voxels of the brain, whatever
    the threshold. |dV|: difference of volumes in ml; bias: the same with its sign, + where too much is drawn; volume
    error: as a share of the true volume, 1 = 100 %. Then surface distances in mm, likeness of the pseudo-DWI to the
    real one beside that of a flat image, lesions by size, pieces found and drawn for nothing, and calibration.
    --json has all of it, scores.csv each case.

    A case that cannot be scored is refused in one sentence; the others go on.

    Example: ctpdeploy evaluate demo/demo.ctpbundle demo/test --out demo/evaluation
    """
    from ctpdeploy.atomic import require_writable
    from ctpdeploy.runtime import find_cases

    cases = find_cases(data)
    say_found(len(cases), data)
    require_writable(out)
    with _open(model, backend, signer_of(require_signature, no_require_signature)) as pipeline:
        summary = evaluate_with_progress(pipeline, cases, out)
    if as_json:
        print_json(summary)
    else:
        print_scores(summary)
        say(f"Scores of each case are in {out / 'scores.csv'}.")
    if refused := summary["refused"]:
        names = ", ".join(refused)
        raise BatchError(f"{len(refused)} of {len(cases)} cases failed ({names}); the others are in {out}.")


def _open(model: Path, backend: str, signer: "Signer") -> "Pipeline":
    """A pipeline from a bundle, or from a run folder with torch as its engine; whoever gives a key wants a bundle."""
    from ctpdeploy.runtime import Pipeline
    from ctpdeploy.runtime.bundle.bundle import MANIFEST

    if isinstance(signer, Path) or (model / MANIFEST).is_file() or not (model / "config.json").is_file():
        return Pipeline.open(model, backend, signer)
    from ctpdeploy.train import open_run

    return open_run(model)


def evaluate_with_progress(pipeline: "Pipeline", cases: "list[CaseRef]", out: Path) -> dict[str, Any]:
    """Score the cases and write ``scores.csv``, ``scores.json`` and ``summary.json`` into ``out``; the summary.

    Without scikit-image everything but SSIM is measured, and a line names the package for that.
    """
    from ctpdeploy.optional import available
    from ctpdeploy.runtime.cohort.evaluation import evaluate_cases

    ssim = available("skimage")
    with progress() as display:
        task = display.add_task("evaluate", total=len(cases), text="")

        def show(done: int, _: int) -> None:
            display.update(task, completed=done, text=cases[done - 1].name)

        summary = evaluate_cases(pipeline, cases, out, ssim=ssim, on_case=show)
    for name, reason in summary["refused"].items():
        say(f"Error: {name}: {reason}")
    if known := summary["known"]:
        are = "case is a scan" if len(known) == 1 else "cases are scans"
        words = f"{len(known)} {are} that the networks were trained or validated on"
        say(f"Warning: {words}, {known[0]} among them: such scores flatter.")
    if not ssim and summary["networks"]["global_psnr"]["n"]:
        say(f"SSIM was not measured: {install_with('evaluate')}.")
    return summary


def print_scores(summary: dict[str, Any]) -> None:
    """The summary as tables: the main scores, volumes and surfaces, the pseudo-DWI, lesions by size, calibration."""
    print_main_scores(summary)
    _print_overlap_and_volumes(summary)
    surfaces = {"HD": "hd_mm", "HD, diagonal if one is empty": "hd_or_diagonal_mm", "ASSD": "assd_mm"}
    rows = [
        [label, *(_cell(summary[method][name], 2) for name in surfaces.values())]
        for method, label in _methods().items()
    ]
    _print_titled("surface distance in mm", list(surfaces), rows)
    if summary["networks"]["global_psnr"]["n"]:
        _print_image_quality(summary["networks"])
    _print_groups(summary["groups"])
    _print_detection(summary["detection"])
    _print_calibration(summary)
    for method, label in _methods().items():
        gaps = [f"{name} in {figure['undefined']}" for name, figure in summary[method].items() if figure["undefined"]]
        if gaps:
            print_lines(f"Left out of the means of {label}, as undefined or not measured: {', '.join(gaps)} cases.")


def print_main_scores(summary: dict[str, Any]) -> None:
    """One table of what a reader asks first, the networks beside the rule."""
    count, small = summary["cases"], summary["groups"]["small"]
    rows = [
        [
            label,
            *(_cell(summary[method][name], 3) if name in summary[method] else "-" for name in ("dice", "ap")),
            _cell(summary[method]["abs_dv_ml"], 1),
            _number(summary[method]["rve"]["median"], ".2f") + " (median)",
            _cell(small[method]["dice"], 3),
        ]
        for method, label in _methods().items()
    ]
    title = "one case" if count == 1 else f"mean ± std of {count} cases"
    _print_titled(title, ["Dice", "AP", "|dV| in ml", "volume error", "Dice < 10 ml"], rows)


def _methods() -> dict[str, str]:
    from ctpdeploy.runtime.perfusion.threshold_rule import RULE

    return {"networks": "networks", "threshold_rule": RULE}


def _print_titled(title: str, columns: list[str], rows: list[list[str]]) -> None:
    print_table([title, *columns], rows)
    print_lines("")


def _print_overlap_and_volumes(summary: dict[str, Any]) -> None:
    """Precision and recall; bias of the volumes and the limits between which 95 % of them lie."""
    rows = []
    for method, label in _methods().items():
        of, volumes = summary[method], summary["volumes"][method]
        limits = " to ".join(_number(volumes[end], "+.1f") for end in ("lower_ml", "upper_ml"))
        overlap = (_cell(of["precision"], 3), _cell(of["recall"], 3))
        rows.append([label, *overlap, _number(volumes["bias_ml"], "+.1f"), limits, _cell(of["rve"], 2)])
    _print_titled("of voxels and volumes", ["precision", "recall", "bias in ml", "95 % limits", "volume error"], rows)


def _print_image_quality(figures: dict[str, Any]) -> None:
    regions = {
        "global": "whole slices",
        "local": "around the lesion",
        "brain": "brain alone",
        "flat": "the same of a flat image",
    }
    rows = [
        [label, _cell(figures[f"{region}_ssim"], 3), _cell(figures[f"{region}_psnr"], 2)]
        for region, label in regions.items()
    ]
    _print_titled("pseudo-DWI against DWI", ["SSIM", "PSNR in dB"], rows)


def _print_groups(groups: dict[str, Any]) -> None:
    """Sizes of lesion down, the networks beside the rule across."""
    labels = {"small": "under 10 ml", "medium": "10 to 50 ml", "large": "over 50 ml"}
    rows = [
        [
            labels[name],
            str(group["cases"]),
            *(_cell(group[m][s], d) for s, d in (("dice", 3), ("rve", 2)) for m in _methods()),
        ]
        for name, group in groups.items()
    ]
    columns = ["cases", "Dice", "Dice of the rule", "volume error", "volume error of the rule"]
    _print_titled("lesion", columns, rows)


def _print_detection(methods: dict[str, Any]) -> None:
    """Pieces of lesions by their size: how many are met, and how many are drawn for nothing."""
    rows = [
        [size, *(cell for of in methods.values() for cell in _detected(of["sizes"][size]))]
        for size in next(iter(methods.values()))["sizes"]
    ]
    rows.append(["all", *(cell for of in methods.values() for cell in _detected(of))])
    columns = ["found", "false a patient", "found by the rule", "false a patient"]
    _print_titled("connected pieces", columns, rows)


def _detected(figures: dict[str, Any]) -> tuple[str, str]:
    return f"{figures['found']} of {figures['lesions']}", _number(figures["false_per_case"], ".1f")


def _print_calibration(summary: dict[str, Any]) -> None:
    known, ranks = summary["calibration"], summary["mean_rank"]
    print_lines(
        f"Voxels of all brains together: AP {_number(known['average_precision'], '.3f')}, expected calibration error "
        f"{_number(known['expected_calibration_error'], '.3f')}.",
        f"Mean rank as in ISLES 2018 (Dice, HD, |dV|): networks {ranks['networks']:.2f}, rule "
        f"{ranks['threshold_rule']:.2f}.",
    )


def _cell(figure: dict[str, Any], digits: int) -> str:
    if figure["n"] == 1:  # one value has no spread
        return f"{figure['mean']:.{digits}f}"
    return mean_and_std(figure["mean"], figure["std"], digits)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"
