"""The bolus: its shape against the clinical one, conservation of area, and the table against direct convolution."""

import numpy as np
import pytest
from scipy import special

from ctpdeploy.phantom.bolus import (
    DELAYS,
    RESIDUES,
    TRANSIT_TIMES,
    VENOUS_TAU,
    Bolus,
    artery_rows,
    draw_bolus,
    tissue_rows,
)
from ctpdeploy.phantom.settings import Residue
from ctpdeploy.runtime.perfusion.deconvolution import DENSITY, HAEMATOCRIT_RATIO

BOLUS = Bolus(
    start=8.0, shape=3.0, scale=2.4, peak=400.0, residue="gamma", residue_shape=2.0, venous_delay=3.5, duration=200.0
)


def width(curve: np.ndarray) -> float:
    return 0.25 * np.count_nonzero(curve > curve.max() / 2)


def test_aif_is_a_gamma_variate_of_the_given_peak() -> None:
    aif = BOLUS.aif()
    assert abs(aif[BOLUS.fine_times <= 8.0]).max() < 1e-9
    assert aif.max() == pytest.approx(400.0, rel=0.03)  # with the plateau that follows
    assert BOLUS.fine_times[aif.argmax()] == pytest.approx(8.0 + 3.0 * 2.4, abs=0.3)


def test_aif_resembles_the_clinical_one() -> None:
    """The Erlangen phantom's clinical AIF has a width of 10.8 s and a tail of 23 to 26 % of its peak, not falling."""
    drawn = [draw_bolus(np.random.default_rng(seed), 60.0) for seed in range(50)]
    widths = [width(bolus.aif()) for bolus in drawn]
    tails = [bolus.aif()[160:200].mean() / bolus.peak for bolus in drawn]
    assert 9.0 < np.median(widths) < 12.5
    assert 0.20 < np.median(tails) < 0.30


def test_venous_blood_is_later_wider_and_of_the_same_area() -> None:
    aif, vof = BOLUS.aif(), BOLUS.vof()
    assert 3.0 <= BOLUS.fine_times[vof.argmax()] - BOLUS.fine_times[aif.argmax()] <= 9.0
    assert width(vof) > width(aif)
    later = round(float(BOLUS.venous_delay + 3 * VENOUS_TAU) / 0.25)  # mean transit of t^2 exp(-t / tau)
    assert np.trapezoid(vof[later:]) == pytest.approx(np.trapezoid(aif[:-later]), rel=0.01)


@pytest.mark.parametrize(("mtt", "delay"), [(0, 0), (10, 0), (20, 8), (27, 44)])
def test_table_equals_direct_convolution(mtt: int, delay: int) -> None:
    t, aif = BOLUS.fine_times, BOLUS.aif()
    transit, d = TRANSIT_TIMES[mtt], DELAYS[delay]
    arterial = aif
    if d > 0:
        kernel = np.where(t >= d, np.exp(-(t - d) / (0.35 * d)), 0.0)
        arterial = np.convolve(aif, kernel / kernel.sum())[: len(t)]
    residue = special.gammaincc(2.0, 2.0 * t / transit)
    residue[0] /= 2  # trapezoidal rule
    expected = DENSITY / HAEMATOCRIT_RATIO / 6000 * 0.25 * np.convolve(arterial, residue)[: len(t)]
    row = BOLUS.table()[mtt * len(DELAYS) + delay]
    np.testing.assert_allclose(row, expected, atol=0.01 * expected.max())


@pytest.mark.parametrize("residue", RESIDUES)
def test_every_residue_has_the_mean_transit_time_that_is_its_name(residue: Residue) -> None:
    """The integral of R is MTT; gamma's of shape 1 is the exponential."""
    u = np.linspace(0, 30, 30001)
    assert np.trapezoid(RESIDUES[residue](u, 2.0), u) == pytest.approx(1.0, abs=2e-3)
    assert np.diff(RESIDUES[residue](u, 2.0)).max() <= 0
    np.testing.assert_allclose(RESIDUES["gamma"](u, 1.0), RESIDUES["exponential"](u, 1.0), atol=1e-9)


def test_look_up_is_bilinear_and_clipped() -> None:
    rows, weights = tissue_rows(
        np.array([TRANSIT_TIMES[3], 1.0, 99.0], np.float32), np.array([2.25, 0, 99], np.float32)
    )
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, atol=1e-6)
    picked = dict(zip(rows[:, 0].tolist(), weights[:, 0].tolist(), strict=True))
    assert picked[3 * len(DELAYS) + 4] + picked.get(2 * len(DELAYS) + 4, 0) == pytest.approx(0.5, abs=1e-3)
    assert rows.min() >= 0
    assert rows.max() < len(TRANSIT_TIMES) * len(DELAYS)
    artery, share = artery_rows(np.array([0.25], np.float32))
    assert artery[:, 0].tolist() == [len(TRANSIT_TIMES) * len(DELAYS), len(TRANSIT_TIMES) * len(DELAYS) + 1]
    np.testing.assert_allclose(share[:, 0], 0.5)


def test_frames_are_interpolated() -> None:
    np.testing.assert_allclose(BOLUS.at(BOLUS.fine_times, np.array([0.0, 0.1, 7.3])), [0.0, 0.1, 7.3], rtol=1e-6)
