"""The phantom's data card: patients measure what the card says, which is what real scans do, within wide bands."""

import numpy as np
import pytest
from phantom_card import CARD, GROUPS, OUTSIDE, Figures, card, is_outside, measure, quartiles, real

from ctpdeploy.phantom import PhantomConfig

SEED, SIZE = 11, 64


@pytest.fixture(scope="module")
def few() -> list[Figures]:
    return measure(6, SEED, PhantomConfig(size=SIZE, slices=8))


@pytest.fixture(scope="module")
def many() -> list[Figures]:
    return measure(80, SEED, PhantomConfig(size=SIZE))


def test_the_real_table_is_whole() -> None:
    scans = real()
    assert len(scans) == 94
    assert {scan["slices"] for scan in scans} == {2.0, 4.0, 8.0, 16.0, 22.0}
    assert quartiles(scans, "tmax6_ml") == pytest.approx([28, 46, 75], abs=1.0)
    assert quartiles(scans, "lesion_ml") == pytest.approx([7, 17, 44], abs=1.0)


def test_a_card_has_all_groups_and_its_caveat(few: list[Figures]) -> None:
    text = card(few, patients=6, seed=SEED, size=SIZE)
    assert text.count("\n## ") == len(GROUPS) + 3
    assert "fitted to these quartiles by hand" in text
    assert text.count("kept out of the fit") >= 4 * len(GROUPS)


def test_a_median_outside_the_real_quartiles_is_marked(few: list[Figures]) -> None:
    near = [{**one, "aif_peak_hu": 42.0} for one in few]
    far = [{**one, "aif_peak_hu": 300.0} for one in few]
    scans = real()
    assert not is_outside(near, scans, "aif_peak_hu")
    assert is_outside(far, scans, "aif_peak_hu")
    assert card(far, patients=6, seed=SEED, size=SIZE).count(OUTSIDE) > card(
        near, patients=6, seed=SEED, size=SIZE
    ).count(OUTSIDE)


def test_the_card_in_the_documentation_is_one_of_1000_patients() -> None:
    assert "--patients 1000" in CARD.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "of", "least", "most"),
    [
        # medians of all patients as shares of the real medians, on maps of the whole way and on ideal ones
        ("tmax6_ml", "tmax6_ml", 0.6, 1.5),
        ("dice_core_lesion", "dice_core_lesion", 0.5, 1.8),
        ("ideal_tmax6_ml", "tmax6_ml", 0.6, 1.5),
        ("lesion_ml", "lesion_ml", 0.6, 1.9),
        ("ideal_core_ml", "core_ml", 0.5, 2.5),
        ("ideal_lesion_of_tmax6", "lesion_of_tmax6", 0.6, 1.6),
        ("ideal_dice_tmax6_lesion", "dice_tmax6_lesion", 0.8, 1.6),
        ("ideal_dice_core_lesion", "dice_core_lesion", 0.7, 1.8),
    ],
)
def test_medians_are_near_those_of_real_scans(
    many: list[Figures], name: str, of: str, least: float, most: float
) -> None:
    assert least < quartiles(many, name)[1] / quartiles(real(), of)[1] < most


@pytest.mark.slow
def test_spread_and_single_figures(many: list[Figures]) -> None:
    first, _, third = quartiles(many, "ideal_tmax6_ml")
    assert 2.0 < third / first < 6.0  # 2.7 in real scans
    assert 1.5 < np.nanmean([one["dwi_ratio"] for one in many]) < 2.1  # 1.84
    assert np.mean([one["window_ends_early"] for one in many]) > 0.85
    assert np.mean([one["ideal_tmax6_ml"] < 10 for one in many]) < 0.25  # 0.09
    whole = [one for one in many if one["slices"] == 16]
    assert 1100 < quartiles(whole, "shown_ml")[1] < 1450
    assert np.mean([abs(one["aif_late_s"]) <= 2.0 for one in many]) > 0.8
    assert 3.0 < np.mean([one["mean_tmax"] for one in many]) < 5.5  # 4.3
