"""The parenchyma on made-up voxels and in healthy patients, whose maps must show neither core nor penumbra."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.runtime.perfusion.parenchyma import parenchyma

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
