"""Figure 10: bars, dots, counts, and what is undefined."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ctpdeploy.paper.systems import TABLES
from ctpdeploy.runtime.cohort.case_score import METRICS, CaseScore
from ctpdeploy.train.reproduction.figures.drawing import HEADINGS
from ctpdeploy.train.reproduction.figures.labels import row_label
from ctpdeploy.train.reproduction.figures.size_groups import COLOURS, draw_size_groups


def score(case: str, volume: float, dice: float, rve: float) -> CaseScore:
    figures = dict.fromkeys(METRICS["networks"], 0.1) | {"dice": dice, "rve": rve}
    return CaseScore(case=case, true_volume_ml=volume, networks=figures, threshold_rule=figures)


FO = [score("a", 2, 0.2, 0.5), score("b", 9.9, 0.4, 1.5), score("c", 10, 0.6, 0.1), score("d", 50.5, 0.8, 0.2)]
OURS = [score("a", 2, 0.4, 0.25), score("b", 9.9, 0.8, 0.75), score("c", 10, 0.5, 0.2), score("d", 50.5, 0.9, 0.4)]
NO_LESION = score("e", 0, 0.0, math.nan)


def bars(axes: Axes) -> list[tuple[tuple[float, ...], float]]:
    return [(to_rgb(bar.get_facecolor()), pytest.approx(bar.get_height())) for bar in axes.patches]


def dots(axes: Axes) -> list[list[float]]:
    return [list(line.get_ydata()) for line in axes.lines]


def notes(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def draw(**rows: Sequence[CaseScore]) -> Figure:
    return draw_size_groups(rows, heading="Figure 10")


def test_bars_are_means_and_dots_cases():
    dice, rve = draw(Fo=FO, dwi_olh=OURS).axes
    grey, red = to_rgb(COLOURS["Fo"]), to_rgb(COLOURS["dwi_olh"])
    assert bars(dice) == [(grey, 0.3), (grey, 0.6), (grey, 0.8), (red, 0.6), (red, 0.5), (red, 0.9)]
    assert bars(rve) == [(grey, 1.0), (grey, 0.1), (grey, 0.2), (red, 0.5), (red, 0.2), (red, 0.4)]
    assert dots(dice) == [[0.2, 0.4], [0.6], [0.8], [0.4, 0.8], [0.5], [0.9]]


def test_bars_of_a_group_stand_side_by_side_around_its_label():
    dice = draw(Fo=FO, dwi_olh=OURS).axes[0]
    middles = sorted(bar.get_x() + bar.get_width() / 2 for bar in dice.patches)
    for i in range(3):
        assert sum(middles[2 * i : 2 * i + 2]) / 2 == pytest.approx(i)
    assert all(b - a > dice.patches[0].get_width() for a, b in pairwise(middles))


def test_the_bar_is_the_mean_and_not_the_median():
    dice = draw(Fo=[*FO[:2], score("g", 3, 0.9, 0.1)]).axes[0]
    assert dice.patches[0].get_height() == pytest.approx(0.5)


def test_labels_count_the_cases_of_each_size():
    for axes in draw(Fo=[*FO, NO_LESION]).axes:
        assert [label.get_text() for label in axes.get_xticklabels()] == [
            "small\n< 10 ml\nn = 3",
            "medium\n10 to 50 ml\nn = 1",
            "large\n> 50 ml\nn = 1",
        ]


def test_scales_begin_at_0_and_hold_every_case():
    dice, rve = draw(Fo=FO).axes
    assert dice.get_ylim() == (0, 1)
    assert rve.get_ylim() == (0, pytest.approx(1.65))


def test_a_group_without_cases_stays_empty():
    dice = draw(Fo=FO[:2]).axes[0]
    assert len(dice.patches) == 1
    assert dice.get_xticklabels()[2].get_text().endswith("n = 0")


def test_undefined_scores_are_left_out_and_counted():
    figure = draw(Fo=[*FO, NO_LESION], dwi_olh=OURS)
    dice, rve = figure.axes
    assert dots(dice)[0] == [0.2, 0.4, 0.0]
    assert dots(rve)[0] == [0.5, 1.5]
    assert "RVE of $F_{o}$ in 1" in notes(figure)
    assert "Dice of" not in notes(figure)
    assert "left out" not in notes(draw(Fo=FO))


def test_large_errors_do_not_flatten_the_others():
    assert draw(Fo=FO).axes[1].get_yscale() == "linear"
    rve = draw(Fo=[*FO, score("f", 1, 0.0, 40.0)]).axes[1]
    assert rve.get_yscale() == "symlog"
    assert "logarithmic" in rve.get_ylabel()
    assert [label.get_text() for label in rve.get_yticklabels()] == ["0", "0.5", "1", "2", "5", "10", "20", "50"]
    assert rve.get_ylim()[1] > 40


def test_all_rows_find_room_beside_the_heading(heading_fits: Callable[[Figure], bool]):
    rows = dict.fromkeys(COLOURS, (*FO, NO_LESION))
    assert heading_fits(draw_size_groups(rows, heading=f"Figure 10: {HEADINGS[10]}", synthetic=True))


def test_colours_are_those_of_the_row_whatever_others_are_there():
    figure = draw(dwi_o=FO, real_dwi=OURS)
    assert [(h.get_color(), h.get_label()) for h in figure.legends[0].legend_handles] == [
        (COLOURS[row], row_label(5, row)) for row in ("dwi_o", "real_dwi")
    ]
    assert list(COLOURS) == [row for row in TABLES[5] if row in COLOURS]
