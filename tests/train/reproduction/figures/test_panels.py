"""Figures 6 to 9: which pictures stand where."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from support.predictions import predicted

from ctpdeploy import INTENDED_USE
from ctpdeploy.paper.systems import TABLES
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, scale_dwi
from ctpdeploy.runtime.report.slice_view import TRUTH, View
from ctpdeploy.train.reproduction.figures.drawing import HEADINGS, PANELS
from ctpdeploy.train.reproduction.figures.figure_cases import ShownCase
from ctpdeploy.train.reproduction.figures.labels import row_label
from ctpdeploy.train.reproduction.figures.page import SYNTHETIC
from ctpdeploy.train.reproduction.figures.panels import SEGMENTATION, draw_panels
from ctpdeploy.train.reproduction.figures.pictures import explain, make_grid

GRID = PreprocessConfig(slice_shape=(32, 32), run_length=3)


TABLE_5 = {row: TABLES[5][row] for row in ("cta", "Fo", "dwi_o", "dwi_olh_s", "Fo_dwi_olh", "real_dwi")}


Show = Callable[..., ShownCase]


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_above_stands_what_the_segmenter_sees(show: Show, case: Case):
    above, below = make_grid(show(*TABLE_5.values()), list(TABLE_5.values()), GRID)
    assert [panel.picture.name for panel in above] == [
        "Tmax",
        "max. of 2 frames",
        "Tmax",
        *["pseudo-DWI"] * 3,
        "real DWI",
    ]
    assert_array_equal(above[1].picture.volume, case.series[:2].max(axis=0))
    assert [panel.picture.volume.max() for panel in above[3:6]] == pytest.approx([0.3, 0.4, 0.5])
    assert all(panel.lesion is None and panel.segmentation is None for panel in above)
    assert {panel.picture.name for panel in below} == {"real DWI"}
    assert all(panel.lesion is case.lesion for panel in below)
    assert below[0].segmentation is None
    assert [panel.segmentation[0].sum() for panel in below[1:]] == [(2 * n) ** 2 for n in range(1, 7)]


def test_where_all_see_the_maps_there_is_one_line(show: Show):
    (line,) = make_grid(show("fcn", "slnet"), ["fcn", "slnet"], GRID)
    assert [panel.picture.name for panel in line] == ["Tmax", *["real DWI"] * 3]
    assert [panel.segmentation is None for panel in line] == [True, True, False, False]


def test_without_a_dwi_lesions_are_outlined_on_tmax(show: Show, case: Case):
    grid = make_grid(show("cta", "wce_hgd", of=replace(case, dwi=None)), ["cta", "wce_hgd"], GRID)
    assert [panel.picture.name for panel in grid[1]] == ["Tmax"] * 3
    assert {panel.picture.colours for panel in grid[1]} == {"gray"}
    assert "DWI" not in explain([grid])


def test_tmax_is_black_where_there_is_none(show: Show, case: Case):
    """In colour: 0 s is the blue of what is quickly perfused."""
    ((tmax, *_),) = make_grid(show("fcn"), ["fcn"], GRID)
    assert_array_equal(np.ma.getmaskarray(tmax.picture.volume), case.maps["tmax"] <= 0)


def test_dice_is_of_the_whole_scan_and_marks_what_was_trained_on(show: Show, case: Case):
    perfect = show("fcn", "slnet", seen_by=["slnet"])
    perfect = replace(perfect, predictions={**perfect.predictions, "fcn": predicted(case.lesion)})
    grid = make_grid(perfect, ["fcn", "slnet"], GRID)
    assert [panel.caption for panel in grid[0]] == ["", "", "Dice 1.00", "Dice 0.00 (seen)"]
    assert "(seen): the run was trained on the case" in explain([grid])
    assert "(seen)" not in explain([make_grid(perfect, ["fcn"], GRID)])


def test_the_slice_with_most_lesion_is_drawn_radiologically(show: Show, case: Case):
    shown = show("wce_hgd", "dwi_o")
    assert shown.slice == 1
    figure = draw_panels(5, {"Fo": "wce_hgd", "dwi_o": "dwi_o"}, [shown], GRID, heading="compared")
    dwi = figure.axes[3].images[0].get_array()  # second line, first column
    assert_allclose(dwi, View.of(case, (1,)).montage(scale_dwi(case.dwi, GRID)))
    assert [text.get_text() for text in figure.axes[3].texts[-2:]] == ["R", "L"]
    assert "slice 2" in words(figure)


def test_without_a_lesion_the_middle_slice_is_shown(show: Show, case: Case):
    assert show("fcn", of=replace(case, lesion=np.zeros_like(case.lesion))).slice == 1


def test_columns_are_titled_in_order_and_cases_named(show: Show, case: Case):
    other = show(*TABLE_5.values(), of=replace(case, identifier="case_7"))
    figure = draw_panels(5, TABLE_5, [show(*TABLE_5.values()), other], GRID, heading="compared", notes=["Of note."])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:7] == ["", *(row_label(5, row) for row in TABLE_5)]
    assert not any(titles[7:])
    assert len(figure.axes) == 2 * 2 * 7
    for expected in ("compared", "case_1", "case_7", "Of note.", INTENDED_USE):
        assert expected in words(figure)
    assert SYNTHETIC not in words(figure)


def test_outlines_are_green_for_the_truth_and_yellow_for_the_segmentation(show: Show):
    figure = draw_panels(3, {"unet": "unet"}, [show("unet")], GRID, heading="compared", synthetic=True)
    outlines = [[tuple(c.get_edgecolor()[0]) for c in axes.collections] for axes in figure.axes]
    assert outlines == [[], [to_rgba(TRUTH)], [to_rgba(SEGMENTATION), to_rgba(TRUTH)]]
    assert [line.get_color() for line in figure.legends[0].legend_handles] == [SEGMENTATION, TRUTH]
    assert SYNTHETIC in words(figure)


@pytest.mark.parametrize("number", PANELS)
def test_the_heading_leaves_room_for_the_legend(show: Show, heading_fits: Callable[[Figure], bool], number: int):
    row, system = next(iter(TABLES[PANELS[number]].items()))
    heading = f"Figure {number}: {HEADINGS[number]}"
    assert heading_fits(draw_panels(PANELS[number], {row: system}, [show(system)], GRID, heading=heading))


def test_an_empty_segmentation_has_no_outline(show: Show):
    shown = show("unet")
    found = shown.predictions["unet"]
    shown = replace(shown, predictions={"unet": predicted(np.zeros_like(found.mask))})
    figure = draw_panels(3, {"unet": "unet"}, [shown], GRID, heading="compared")
    assert len(figure.axes[2].collections) == 1


def test_pictures_keep_the_shape_of_the_head(show: Show, case: Case):
    """Voxels are as wide and high as they are in the patient."""
    geometry = replace(case.geometry, spacing=(5.0, 2.0, 1.0))
    for of, aspect in ((case, 1.0), (replace(case, geometry=geometry), 2.0)):
        axes = draw_panels(3, {"unet": "unet"}, [show("unet", of=of)], GRID, heading="compared").axes[0]
        rows, columns = axes.images[0].get_array().shape
        box = axes.get_window_extent()
        assert (box.height / rows) / (box.width / columns) == pytest.approx(aspect)
