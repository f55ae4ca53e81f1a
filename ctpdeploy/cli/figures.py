"""``ctpdeploy figures``: the source's figures of what a reproduction has trained."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.cli.terminal import print_json, print_table, progress, say, say_found

if TYPE_CHECKING:
    from ctpdeploy.train.reproduction.figures import Drawing

__all__ = ["figures"]


def figures(
    reproduction: Annotated[Path, typer.Argument(help="Folder of a reproduction, as ctpdeploy reproduce makes it.")],
    data: Annotated[Path, typer.Argument(help="Folder of cases with OT, and MR_DWI where there is one.")],
    out: Annotated[Path, typer.Option(help="Folder for fig-3.png, fig-6.png to fig-10.png.")] = Path("figures"),
    cases: Annotated[
        str | None,
        typer.Option(help="Cases to show, as case_1,case_7. Default: a small, a medium and a large one of the tested."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the runs to show.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print files, rows and cases as JSON.")] = False,
) -> None:
    """Draw the paper's figures 3 and 6 to 10 of the rows that are trained and evaluated.

    Pseudo-DWI and segmentation side by side per loss (6), input (7) and network (8) and of table 5 (9); q(t) with T_s
    and T_e (3); Dice and volume error by size of lesion (10). Rows that are not trained are left out.

    Example: ctpdeploy figures reproduction data --out figures --cases case_1,case_7
    """
    from ctpdeploy.runtime import find_cases
    from ctpdeploy.train.reproduction.figures import draw_figures

    say_found(len(find_cases(data)), data)
    with progress() as display:
        task = display.add_task("predicting", total=None)
        drawing = draw_figures(
            reproduction,
            data,
            out,
            cases=[name.strip() for name in cases.split(",")] if cases else (),
            seed=seed,
            on_prediction=lambda done, total: display.update(task, completed=done, total=total),
        )
    _print(drawing, as_json)


def _print(drawing: "Drawing", as_json: bool) -> None:
    if as_json:
        pictures = {
            f"fig-{figure}": {"file": str(drawn.file), "rows": drawn.rows, "cases": drawn.cases}
            for figure, drawn in drawing.drawn.items()
        }
        print_json({"intended_use": INTENDED_USE, "figures": pictures, "remarks": drawing.remarks})
        return
    lines = [
        [str(figure), ", ".join(drawn.rows) or "-", ", ".join(drawn.cases) or "all tested", str(drawn.file)]
        for figure, drawn in drawing.drawn.items()
    ]
    print_table(["figure", "rows", "cases", "file"], lines)
    for remark in drawing.remarks:
        say(remark)
    say(INTENDED_USE)
