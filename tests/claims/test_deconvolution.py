"""Ways to compute maps: all on the same patient, errors with their signs."""

import numpy as np
import pytest
from deconvolution import COLUMNS, WAYS, measure, summary

from ctpdeploy.errors import InputError
from ctpdeploy.phantom import PhantomConfig, make_patient


def test_every_way_is_measured_on_a_patient():
    found = measure(make_patient(3, PhantomConfig(size=64, slices=2)))
    assert set(found) == set(WAYS)
    assert all(set(figures) == set(COLUMNS) for figures in found.values())
    assert all(np.isfinite(list(figures.values())).all() for figures in found.values())
    assert found["TSVD, onset"]["delay_ml"] < found["TSVD, maximum"]["delay_ml"], "the maximum is late everywhere"
    assert found["TSVD, maximum"]["ideal_dice"] > 0.6


def test_errors_of_opposite_signs_do_not_cancel():
    one, other = (dict.fromkeys(WAYS, dict.fromkeys(COLUMNS, value)) for value in (-2.0, 4.0))
    figures = summary([one, other])["oSVD, onset"]
    assert (figures["delay_ml"], figures["delay_ml_off"], figures["rule_dice"]) == (1.0, 3.0, 1.0)
    assert "rule_dice_off" not in figures


def test_a_patient_without_maps_is_told():
    patient = make_patient(3, PhantomConfig(size=64, slices=2))
    patient.series[:] = patient.series[0]
    with pytest.raises(InputError):
        measure(patient)
