"""Deconvolution against closed forms, the singular value decomposition and the OSIPI tolerances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from support.tissue_curves import RESIDUES, aif, tissue

from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.perfusion.deconvolution import block_circulant_inverse, deconvolve


@pytest.mark.parametrize("method", ["tsvd", "tikhonov"])
@pytest.mark.parametrize("threshold", [0.02, 0.1, 0.2])
def test_the_fft_form_equals_the_singular_value_decomposition(method: str, threshold: float) -> None:
    times, dt = np.arange(0.0, 60.0, 1.5), 1.5
    matrix = linalg.circulant(np.concatenate([aif(times), np.zeros(len(times))])) * dt
    left, singular, right = linalg.svd(matrix)
    floor = threshold * singular[0]
    if method == "tsvd":
        filtered = np.where(singular >= floor, 1 / singular, 0)
    else:
        filtered = singular / (singular**2 + floor**2)
    reference = (right.T * filtered) @ left.T[:, : len(times)]
    inverse = block_circulant_inverse(aif(times), dt, method=method, threshold=threshold)  # type: ignore[arg-type]
    np.testing.assert_allclose(inverse, reference, rtol=0, atol=1e-10 * abs(reference).max())


@pytest.mark.parametrize("kind", RESIDUES)
@pytest.mark.parametrize("mtt", [3.43, 6.0, 12.0])
def test_blood_volume_of_noise_free_curves(kind: str, mtt: float) -> None:
    times = np.arange(0.0, 90.0)
    curve = tissue(times, cbf=60 * 4 / mtt, cbv=4.0, kind=kind)[:, None]
    assert deconvolve(curve, aif(times), 1.0)["cbv"][0] == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize("dt", [1.0, 1.5, 2.0, 3.0])
def test_blood_volume_does_not_depend_on_the_frame_interval(dt: float) -> None:
    times = np.arange(0.0, 90.0, dt)
    curve = tissue(times, cbf=60.0, cbv=4.0)[:, None]
    assert deconvolve(curve, aif(times), dt)["cbv"][0] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("kind", RESIDUES)
@pytest.mark.parametrize("mtt", [4.0, 12.0])
@pytest.mark.parametrize(("method", "flow"), [("tsvd", 0.02), ("tikhonov", 0.02), ("osvd", 0.10)])
def test_delay_moves_tmax_one_to_one_and_leaves_flow(kind: str, mtt: float, method: str, flow: float) -> None:
    times, delays = np.arange(0.0, 90.0), np.arange(0.0, 6.5, 0.5)
    curves = np.stack([tissue(times, cbf=60 * 4 / mtt, cbv=4.0, kind=kind, delay=d) for d in delays], axis=1)
    result = deconvolve(curves, aif(times), 1.0, PerfusionConfig(method=method))  # type: ignore[arg-type]
    assert np.polyfit(delays, result["tmax"], 1)[0] == pytest.approx(1.0, abs=0.05)
    assert np.ptp(result["cbf"]) < flow * result["cbf"].mean()  # the peak lies between samples


@pytest.mark.parametrize("kind", RESIDUES)
@pytest.mark.parametrize("mtt", [4.0, 12.0])
def test_the_onset_is_nearer_to_the_delay_than_the_maximum(kind: str, mtt: float) -> None:
    times, delays = np.arange(0.0, 90.0), np.arange(0.0, 6.5, 0.5)
    curves = np.stack([tissue(times, cbf=60 * 4 / mtt, cbv=4.0, kind=kind, delay=d) for d in delays], axis=1)
    maximum = deconvolve(curves, aif(times), 1.0)
    onset = deconvolve(curves, aif(times), 1.0, PerfusionConfig(tmax="onset"))
    assert 0 < (onset["tmax"] - delays).mean() < (maximum["tmax"] - delays).mean() - 0.2
    assert np.polyfit(delays, onset["tmax"], 1)[0] == pytest.approx(1.0, abs=0.05)
    for name in ("cbf", "cbv", "mtt"):
        np.testing.assert_array_equal(onset[name], maximum[name])


def test_early_tissue_has_no_negative_tmax() -> None:
    times = np.arange(0.0, 60.0)
    curve = tissue(times, cbf=60.0, cbv=3.0, start=5.0)[:, None]  # 3 s before the AIF
    assert deconvolve(curve, aif(times), 1.0)["tmax"][0] == 0.0


@pytest.mark.parametrize("kind", RESIDUES)
def test_digital_phantom_of_transit_times_and_delays(kind: str) -> None:
    """The grid of Kudo et al., Radiology 2013 (PMC3606546): MTT by CBV by delay; correlation with the truth > 0.9."""
    times = np.arange(0.0, 60.0)
    truth = [
        (mtt, cbv, d) for mtt in (24, 12, 8, 6, 4.8, 4, 3.43) for cbv in range(1, 6) for d in np.arange(0, 3.5, 0.5)
    ]
    curves = np.stack([tissue(times, cbf=60 * v / m, cbv=v, delay=d, kind=kind) for m, v, d in truth], axis=1)
    result = deconvolve(curves, aif(times), 1.0)
    mtt, cbv, _ = np.array(truth).T
    for name, expected in (("cbf", 60 * cbv / mtt), ("cbv", cbv), ("mtt", mtt)):
        assert np.corrcoef(result[name], expected)[0, 1] > 0.9, name


@pytest.mark.parametrize(
    ("method", "threshold", "passes"),
    [
        *[("tsvd", 0.05, True), ("tsvd", 0.10, True), ("tsvd", 0.20, False)],
        *[("tikhonov", 0.05, True), ("osvd", 0.035, True), ("osvd", 0.001, False)],
    ],
)
def test_osipi_dsc_reference_object(method: str, threshold: float, passes: bool) -> None:
    """OSIPI's DSC reference curves: dt 1.243 s, 161 points; tolerances CBF 15 + 10 %, CBV 1 + 10 %."""
    times = 1.243 * np.arange(161)
    truth = [(cbf, 4.0) for cbf in range(10, 80, 10)] + [(cbf, 2.0) for cbf in range(5, 40, 5)]
    bolus = {"start": 60.0, "shape": 3.0, "scale": 1.5, "peak": 400.0}
    curves = np.stack([tissue(times, cbf=cbf, cbv=cbv, **bolus) for cbf, cbv in truth], axis=1)
    curves += np.random.default_rng(0).normal(0.0, curves.max() / 200, curves.shape)
    config = PerfusionConfig(method=method, threshold=threshold)  # type: ignore[arg-type]
    result = deconvolve(curves, aif(times, **bolus), 1.243, config)
    cbf, cbv = np.array(truth).T
    assert (np.abs(result["cbf"] - cbf) <= 15 + 0.1 * cbf).all() == passes  # the last of a method smooth too much
    assert (np.abs(result["cbv"] - cbv) <= 1 + 0.1 * cbv).all()


@settings(max_examples=25)
@given(scale=st.floats(0.01, 100.0), dt=st.sampled_from([0.5, 1.0, 2.0]))
def test_maps_follow_the_units(scale: float, dt: float) -> None:
    """Scaling AIF and tissue together changes nothing; stretching time stretches MTT and Tmax and divides CBF."""
    times = np.arange(50.0)
    curve = tissue(times, cbf=30.0, cbv=3.0, delay=2.0)[:, None]
    reference, scaled = deconvolve(curve, aif(times), 1.0), deconvolve(scale * curve, scale * aif(times), dt)
    np.testing.assert_allclose(scaled["cbv"], reference["cbv"], rtol=1e-9)
    np.testing.assert_allclose(scaled["cbf"] * dt, reference["cbf"], rtol=1e-9)
    np.testing.assert_allclose(scaled["tmax"] / dt, reference["tmax"], rtol=1e-9)
    np.testing.assert_allclose(scaled["mtt"] / dt, reference["mtt"], rtol=1e-9)
