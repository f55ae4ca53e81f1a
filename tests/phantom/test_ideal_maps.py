"""Maps of the truth: what deconvolution makes of curves without noise, voxel by voxel."""

import numpy as np
import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.bolus import tissue_rows
from ctpdeploy.phantom.ideal_maps import ideal_maps
from ctpdeploy.runtime.perfusion.deconvolution import deconvolve


@pytest.fixture(scope="module")
def patient() -> Patient:
    return make_patient(2, PhantomConfig(size=64, slices=4, frames=45))


def test_they_are_those_of_each_voxel_s_own_curve(patient: Patient) -> None:
    """Looked up in the deconvolved table, against the voxel's curve deconvolved."""
    maps, truth = ideal_maps(patient), patient.truth
    places = tuple(axis[::97] for axis in np.nonzero(maps["cbf"]))
    cbf, cbv, share = (truth[name][places] for name in ("cbf", "cbv", "tissue"))
    rows, weights = tissue_rows(60 * cbv / cbf, truth["delay"][places] / share)
    table = patient.bolus.at(patient.bolus.table(), patient.times)
    curves = cbf * (table[rows] * weights[..., None]).sum(axis=0).T
    expected = deconvolve(curves, patient.aif, float(patient.times[1]))
    np.testing.assert_allclose(maps["cbf"][places], expected["cbf"], rtol=0.03)
    assert np.percentile(abs(maps["tmax"][places] - expected["tmax"]), 95) < 0.3


def test_they_are_zero_where_less_than_half_is_tissue(patient: Patient) -> None:
    maps = ideal_maps(patient)
    assert set(maps) == {"cbf", "cbv", "mtt", "tmax"}
    outside = patient.truth["tissue"] <= 0.5
    assert all(volume.dtype == np.float32 and not volume[outside].any() for volume in maps.values())
    np.testing.assert_array_equal(maps["cbf"] > 0, ~outside)
