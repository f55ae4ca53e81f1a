"""A lesion in tissue, and one that is not."""

import numpy as np
import pytest

from ctpdeploy.phantom import Patient
from ctpdeploy.runtime import Case, case_from_arrays
from ctpdeploy.runtime.quality.lesion import inspect_lesion


@pytest.fixture(scope="module")
def case(patient: Patient) -> Case:
    return case_from_arrays(patient.series, patient.times, spacing=patient.spacing, maps=patient.maps)


def test_true_lesions_and_none_at_all_are_in_tissue(case: Case, patient: Patient) -> None:
    assert inspect_lesion(patient.lesion, case) == ()
    assert inspect_lesion(np.zeros_like(patient.lesion), case) == ()
    assert inspect_lesion(patient.brain, case) == ()


@pytest.mark.parametrize("outside", ["air", "bone"])
def test_a_lesion_beyond_the_brain_is_not_handed_over_unsaid(case: Case, patient: Patient, outside: str) -> None:
    mean = patient.series.mean(axis=0)
    beyond = (mean < -500) if outside == "air" else (mean > 500)
    chosen = np.flatnonzero(beyond)[: np.count_nonzero(patient.lesion) // 5]
    mask = patient.lesion.copy()
    mask.flat[chosen] = True
    (found,) = inspect_lesion(mask, case)
    assert found.code == "lesion-outside-tissue"
    share = np.mean(beyond[mask])
    assert 0.1 < share < float(found.sentence.split(" %")[0]) / 100 + 0.01 < share + 0.05
