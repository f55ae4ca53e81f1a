"""Deconvolution against closed forms, a slow twin, the OSIPI tolerances and the digital phantom."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import linalg, special

from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.bolus import DELAYS, TRANSIT_TIMES
from ctpdeploy.runtime.perfusion.maps import (
    DENSITY,
    HAEMATOCRIT_RATIO,
    PerfusionConfig,
    block_circulant_inverse,
    deconvolve,
    perfusion_maps,
    resample_frames,
    smooth_in_plane,
)

Curve = NDArray[np.float64]
FINE = 0.01  # s, grid of the closed forms

RESIDUES: dict[str, Callable[[Curve, float], Curve]] = {
    "box": lambda t, mtt: (t < mtt).astype(float),
    "exponential": lambda t, mtt: np.exp(-t / mtt),
    "gamma": lambda t, mtt: special.gammaincc(3.0, 3.0 * t / mtt),
}


def aif(t: Curve, *, start: float = 8.0, shape: float = 3.0, scale: float = 2.4, peak: float = 400.0) -> Curve:
    u = np.clip(t - start, 0, None) / scale
    return peak * (u / shape) ** shape * np.exp(shape - u)


def tissue(times: Curve, *, cbf: float, cbv: float, delay: float = 0.0, kind: str = "gamma", **bolus: float) -> Curve:
    """A tissue curve by direct numerical convolution on a fine grid, float64."""
    fine = np.arange(0.0, times[-1] + FINE, FINE)
    residue = RESIDUES[kind](fine, 60.0 * cbv / cbf)
    size = 2 * len(fine)
    spectrum = np.fft.rfft(aif(fine - delay, **bolus), size) * np.fft.rfft(residue, size)
    curve = np.fft.irfft(spectrum, size)[: len(fine)] * FINE * DENSITY / HAEMATOCRIT_RATIO * cbf / 6000.0
    return np.interp(times, fine, curve)


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
def test_delay_moves_tmax_one_to_one_and_leaves_flow(kind: str, mtt: float) -> None:
    times, delays = np.arange(0.0, 90.0), np.arange(0.0, 6.5, 0.5)
    curves = np.stack([tissue(times, cbf=60 * 4 / mtt, cbv=4.0, kind=kind, delay=d) for d in delays], axis=1)
    result = deconvolve(curves, aif(times), 1.0)
    assert np.polyfit(delays, result["tmax"], 1)[0] == pytest.approx(1.0, abs=0.05)
    assert np.ptp(result["cbf"]) < 0.02 * result["cbf"].mean()  # the peak lies between samples


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
    [("tsvd", 0.05, True), ("tsvd", 0.10, True), ("tikhonov", 0.05, True), ("tsvd", 0.20, False)],
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
    assert (np.abs(result["cbf"] - cbf) <= 15 + 0.1 * cbf).all() == passes  # 0.20 is known to smooth too much
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


@settings(max_examples=25)
@given(level=st.floats(-50.0, 50.0), fwhm=st.floats(0.0, 12.0))
def test_smoothing_keeps_a_constant_and_takes_nothing_from_outside(level: float, fwhm: float) -> None:
    mask = np.zeros((2, 16, 16), dtype=bool)
    mask[0, 3:12, 5:9] = True
    volume = np.where(mask, level, 1e6)
    np.testing.assert_allclose(
        smooth_in_plane(volume, mask, (5.0, 1.0, 1.0), fwhm), np.where(mask, level, 0), atol=1e-3
    )


def test_resampling_of_frames_is_linear() -> None:
    times, wanted = np.array([0.0, 1.0, 3.0, 4.0]), np.arange(0.0, 4.5, 0.5)
    series = np.stack([2 * times, -times], axis=1)
    np.testing.assert_allclose(resample_frames(series, times, wanted), np.stack([2 * wanted, -wanted], axis=1))


@pytest.fixture(scope="module")
def patient() -> Patient:
    return make_patient(16, PhantomConfig(size=128, slices=8, frames=45))


def test_maps_of_a_patient(patient: Patient) -> None:
    result = perfusion_maps(patient.series, patient.times, patient.spacing)
    tissue_mask = result.brain & (patient.truth["cbf"] > 5)
    assert set(result.maps) == {"cbf", "cbv", "mtt", "tmax"}
    assert all(m.dtype == np.float32 and not m[~result.brain].any() for m in result.maps.values())
    healthy = tissue_mask & (patient.truth["penumbra"] + patient.truth["core"] < 0.05) & (patient.truth["old"] < 0.05)
    ratio = np.median(result.maps["cbv"][healthy] / (patient.truth["cbv"][healthy]))
    assert ratio == pytest.approx(1.0, abs=0.2)
    assert np.median(result.maps["tmax"][patient.lesion & result.brain]) > np.median(result.maps["tmax"][healthy]) + 3


def test_late_territory_agrees_with_maps_of_the_ideal_series(patient: Patient) -> None:
    """Tmax > 6 s from noisy data and a found AIF, against the noise-free tissue table and the true AIF."""
    result = perfusion_maps(patient.series, patient.times, patient.spacing)
    brain = result.brain & (patient.truth["cbf"] > 1)
    truth = patient.truth
    grid = np.stack([truth["mtt"][brain], truth["delay"][brain]])
    late = ideal_tmax(patient, grid) > 6
    found = result.maps["tmax"][brain] > 6
    assert 2 * (late & found).sum() / (late.sum() + found.sum()) > 0.8


def ideal_tmax(patient: Patient, places: NDArray[np.float32]) -> Curve:
    """Tmax of the phantom's own noise-free curves at (MTT, delay)."""
    table = patient.bolus.at(patient.bolus.table(), patient.times)[: len(TRANSIT_TIMES) * len(DELAYS)]
    tmax = deconvolve(table.T.astype(np.float64), patient.aif.astype(np.float64), patient.times[1])["tmax"]
    rows = np.abs(TRANSIT_TIMES[:, None] - places[0]).argmin(axis=0)
    columns = np.abs(DELAYS[:, None] - places[1]).argmin(axis=0)
    return tmax.reshape(len(TRANSIT_TIMES), len(DELAYS))[rows, columns]


def test_unequal_frame_times_are_resampled(patient: Patient) -> None:
    keep = np.r_[0:30, 30:45:2]
    dense = perfusion_maps(patient.series, patient.times, patient.spacing)
    sparse = perfusion_maps(patient.series[keep], patient.times[keep], patient.spacing)
    assert sparse.findings[0].code == "times-resampled"
    assert "resampled to 1 s" in sparse.findings[0].sentence
    assert len(sparse.aif) == len(dense.aif)
    assert np.corrcoef(sparse.maps["tmax"][dense.brain], dense.maps["tmax"][dense.brain])[0, 1] > 0.9


def test_slices_with_times_of_their_own_give_the_maps_of_common_times(patient: Patient) -> None:
    """As in shuttle mode: every other slice is seen 0.8 s later."""
    late = patient.times[:-1, None] + 0.8 * (np.arange(patient.series.shape[1]) % 2)
    slices = [resample_frames(patient.series[:, z], patient.times, clock) for z, clock in enumerate(late.T)]
    seen = np.stack(slices, axis=1)
    expected = perfusion_maps(patient.series, patient.times, patient.spacing)
    found = perfusion_maps(seen, late, patient.spacing)
    careless = perfusion_maps(seen, patient.times[:-1], patient.spacing)
    both = expected.brain & found.brain & careless.brain
    odd = np.arange(len(both))[:, None, None] % 2 == 1
    change = [maps.maps["tmax"] - expected.maps["tmax"] for maps in (found, careless)]
    apart = [np.median(volume[both & odd]) - np.median(volume[both & ~odd]) for volume in change]  # wherever the AIF is
    assert abs(apart[0]) < 0.1
    assert apart[1] < -0.3
    assert found.findings[0].code == "times-resampled"


def test_vof_scaling_raises_the_aif(patient: Patient) -> None:
    scaled = perfusion_maps(patient.series, patient.times, patient.spacing)
    plain = perfusion_maps(patient.series, patient.times, patient.spacing, PerfusionConfig(vof_scaling=False))
    assert plain.scaling == 1.0
    assert scaled.scaling > 1.0
    np.testing.assert_allclose(scaled.aif, scaled.scaling * plain.aif)
    brain = scaled.brain
    np.testing.assert_allclose(plain.maps["cbv"][brain], scaled.scaling * scaled.maps["cbv"][brain], rtol=1e-4)


def test_a_series_without_contrast_is_refused(patient: Patient) -> None:
    still = np.repeat(patient.series[:1], 20, axis=0)
    with pytest.raises(InputError, match="No artery found"):
        perfusion_maps(still, np.arange(20.0), patient.spacing)


def test_air_is_refused() -> None:
    with pytest.raises(InputError, match="No brain found"):
        perfusion_maps(np.full((20, 1, 32, 32), -1000.0, np.float32), np.arange(20.0), (5.0, 3.0, 3.0))


@pytest.mark.parametrize("times", [np.arange(19.0), np.zeros(20), np.arange(20.0)[::-1], np.ones((20, 1))])
def test_times_that_do_not_ascend_are_refused(times: Curve) -> None:
    with pytest.raises(InputError, match="must ascend"):
        perfusion_maps(np.zeros((20, 1, 32, 32), np.float32), times, (5.0, 3.0, 3.0))


GOOD = np.zeros((4, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    ("series", "times", "spacing", "message"),
    [
        (GOOD.tolist(), np.arange(4.0), (5, 1, 1), "no array"),
        (GOOD[0], np.arange(4.0), (5, 1, 1), "no array"),
        (GOOD.astype(object), np.arange(4.0), (5, 1, 1), "no array"),
        (GOOD[:, :0], np.arange(4.0), (5, 1, 1), "no array"),
        (GOOD * np.nan, np.arange(4.0), (5, 1, 1), "finite"),
        (np.ma.masked_equal(GOOD, 0), np.arange(4.0), (5, 1, 1), "not masked"),
        (GOOD, np.arange(4.0), (5, -1, 1), "voxel size"),
        (GOOD, np.arange(4.0), 5.0, "voxel size"),
        (GOOD, np.arange(4.0), None, "voxel size"),
        (GOOD, np.array([0, 1, 2, np.inf]), (5, 1, 1), "must ascend"),
        (GOOD, np.array([0, 1e-6, 2e-6, 1e9]), (5, 1, 1), "too unequal"),
    ],
)
def test_what_gives_no_maps_is_refused_in_a_sentence(series: Any, times: Any, spacing: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        perfusion_maps(series, times, spacing)
    assert "\n" not in str(refusal.value)
