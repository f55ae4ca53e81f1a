"""The inspection on the way of a case: what is impossible is refused, by name and code, before anything is computed."""

import numpy as np
import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient
from ctpdeploy.runtime import case_from_arrays
from ctpdeploy.runtime.quality.inspection import inspect


def test_refusals_name_case_and_code(patient: Patient) -> None:
    with pytest.raises(InputError, match=r"^Miller is refused \(series-not-hu\)\. The series has means from"):
        inspect(patient.series + 1024, patient.times, patient.spacing, None, called="Miller")
    same = {**patient.maps, "mtt": patient.maps["cbv"]}
    with pytest.raises(InputError, match=r"^Miller is refused \(maps-identical\)"):
        inspect(patient.series, patient.times, patient.spacing, same, called="Miller")


def test_a_case_of_arrays_is_inspected_and_doubts_stay_with_it(patient: Patient) -> None:
    given = {"times": patient.times, "spacing": patient.spacing, "name": "Miller"}
    case = case_from_arrays(patient.series, maps=patient.maps, **given)
    assert case.findings == ()
    mirrored = {name: volume[..., ::-1] for name, volume in patient.maps.items()}
    doubtful = case_from_arrays(patient.series, maps=mirrored, **given)
    assert {found.code for found in doubtful.findings} == {"maps-of-another"}
    with pytest.raises(InputError, match="series-reversed"):
        case_from_arrays(np.ascontiguousarray(patient.series[::-1]), **given)
