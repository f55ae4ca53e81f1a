"""The parenchyma on made-up voxels and in healthy patients, whose maps must show neither core nor penumbra."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.runtime.perfusion.parenchyma import left_out, parenchyma

TISSUES = {
    # mean HU, CBV in ml/100g, whether it is parenchyma
    "grey matter": (42.0, 4.0, True),
    "white matter": (26.0, 2.0, True),
    "infarct in white matter": (22.0, 0.5, True),
    "ventricle": (8.0, 0.1, False),
    "vein": (55.0, 30.0, False),
    "vein of a thick slice": (45.0, 9.0, False),
    "bone blurred into the brain": (90.0, 1.0, False),
}


@pytest.mark.parametrize("name", TISSUES)
@pytest.mark.parametrize("unit", [1.0, 4.0])  # an input thinned fourfold
def test_tissues_by_hand(name: str, unit: float) -> None:
    hu, cbv, expected = TISSUES[name]
    mean, blood = np.full((1, 4, 4), 30.0), np.full((1, 4, 4), 3.2)
    mean[0, 1, 1], blood[0, 1, 1] = hu, cbv
    brain = np.ones(mean.shape, dtype=bool)
    brain[0, 0] = False
    shown = parenchyma(mean, unit * blood, brain)
    assert shown[0, 1, 1] == expected
    assert_array_equal(shown[0, 2:], brain[0, 2:])
    assert not shown[0, 0].any()


@pytest.mark.parametrize("slices", [2, 8])
def test_nearly_all_of_the_true_brain_is_shown(slices: int) -> None:
    """Of 24 patients of 8 slices between 0.939 and 0.989."""
    patient = make_patient(slices, PhantomConfig(size=64, slices=slices, healthy=True))
    tissue = patient.truth["tissue"] > 0.95
    cbv = np.where(patient.brain, patient.truth["cbv"], 0.0)
    shown = parenchyma(patient.series.mean(axis=0), cbv, patient.brain)
    assert shown[tissue & patient.brain].mean() > 0.93


SPACING = (5.0, 2.0, 2.0)


def brain_with(hu: float, *places: tuple[int, int], radius_mm: float = 18.0) -> tuple[np.ndarray, np.ndarray]:
    """A brain of 160 mm of 30 HU in four slices, but for disks in three of them; with its mask."""
    y, x = 2.0 * np.mgrid[-48:48, -50:46]  # not in the middle of the image
    brain = np.broadcast_to(np.hypot(y, x) < 80.0, (4, *y.shape))
    mean = np.where(brain, 30.0, 1000.0)
    for row, column in places:
        mean[1:, np.hypot(y - row, x - column) < radius_mm] = hu
    return mean, brain


def said(mean: np.ndarray, brain: np.ndarray) -> list[str]:
    shown = parenchyma(mean, np.full(mean.shape, 3.2), brain)
    return [found.sentence for found in left_out(mean, brain, shown, SPACING)]


@pytest.mark.parametrize("hu", [8.0, 70.0])
def test_a_large_piece_that_is_no_tissue_is_said(hu: float) -> None:
    (sentence,) = said(*brain_with(hu, (0, 40)))
    assert sentence.startswith(f"14 ml of the brain, about slice 2 (counted from 0) and with {hu:.0f} HU")


def test_ventricles_small_pieces_and_vessels_are_usual() -> None:
    assert said(*brain_with(8.0, (0, 30), (0, -30))) == []
    assert said(*brain_with(70.0, (0, 40), radius_mm=9.0)) == []
    mean, brain = brain_with(30.0)
    mean[:, 46:51] = np.where(brain[:, 46:51], 70.0, 1000.0)  # a band of 10 mm
    assert said(mean, brain) == []


def test_blood_on_both_sides_is_said() -> None:
    assert len(said(*brain_with(70.0, (0, 30), (0, -30)))) == 1
