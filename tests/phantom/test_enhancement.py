"""The series of an ideal scanner: few curves stand for all, and frames in between are interpolated."""

import numpy as np
import pytest

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.bolus import draw_bolus
from ctpdeploy.phantom.enhancement import OTHERS, USUAL_FLOW, IdealSeries, _basis
from ctpdeploy.phantom.protocol import interpolation
from ctpdeploy.phantom.scanner import workstation_maps
from ctpdeploy.runtime.perfusion.maps import perfusion_maps

TIMES = np.arange(0.0, 61.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_basis_leaves_less_than_the_noise_would_show(seed: int) -> None:
    """Arteries within 0.2 HU of 400, tissue at its usual flow within 0.05 HU; frames have a noise of 5 HU."""
    bolus = draw_bolus(np.random.default_rng(seed), TIMES[-1])
    others = [bolus.vof(), bolus.late(5.0, 3.0), bolus.aif(), bolus.leaked()]
    curves = bolus.at(np.concatenate([bolus.table(), others]), TIMES).astype(np.float64)
    basis = _basis(curves.astype(np.float32)).astype(np.float64)
    left = abs(curves - curves @ basis.T @ basis)
    arteries = 45 + OTHERS
    assert left[-arteries:].max() < 0.2
    assert USUAL_FLOW * left[:-arteries].max() < 0.05


def test_frames_are_weights_by_curves_above_the_baseline() -> None:
    rng = np.random.default_rng(0)
    weights, curves, baseline = rng.random((3, 1, 4, 5)), rng.random((3, 6)), rng.random((1, 4, 5))
    series = IdealSeries(baseline=baseline, weights=weights, curves=curves)
    expected = baseline + np.einsum("rt,rdhw->tdhw", curves, weights)
    np.testing.assert_allclose(series.frames(), expected, rtol=1e-6)
    blend = interpolation(np.arange(0.0, 12.0, 2.0), np.arange(0.0, 10.5, 1.0))
    np.testing.assert_allclose(blend.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(series.frames(blend)[1], (expected[0] + expected[1]) / 2, rtol=1e-6)


def test_maps_are_those_of_the_runtime_but_for_filter_mask_and_rounding() -> None:
    """The short way smooths what deconvolution reads, the runtime all frames."""
    patient = make_patient(1, PhantomConfig(size=64, slices=8))
    shown, vessels = workstation_maps(patient.series, patient.times, patient.spacing)
    reference = perfusion_maps(patient.series, patient.times, patient.spacing)
    np.testing.assert_allclose(vessels.aif, reference.vessels.aif, rtol=1e-5)
    inside = shown["cbf"] > 0
    for name, tolerance in (("cbf", 4.0), ("cbv", 0.4), ("tmax", 0.8)):  # the median filter's
        assert np.median(abs(shown[name] - reference.maps[name])[inside]) < tolerance
    np.testing.assert_array_equal(shown["tmax"], patient.maps["tmax"])
