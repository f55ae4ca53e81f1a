"""Arteries as faint as thick slices leave them, beside veins many times as bright."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.perfusion.arteries import find_vascular_input
from ctpdeploy.runtime.perfusion.candidates import LEAD, find_candidates, leads, smooth_in_time

Array = NDArray[np.float64]
TIMES = np.arange(45.0)
ARTERY, VEIN = (slice(4, 7), slice(4, 16)), (slice(30, 34), slice(4, 24))


def bolus(peak_time: float, peak: float, scale: float = 2.4) -> Array:
    u = np.clip(TIMES - peak_time + 3 * scale, 0, None) / scale
    return peak * (u / 3) ** 3 * np.exp(3 - u)


def slab(
    *,
    artery: float,
    vein: float = 300.0,
    tissue: float = 8.0,
    tissue_peak: float = 21.0,
    tissue_scale: float = 3.5,
    noise: float = 1.5,
) -> tuple[Array, NDArray[np.bool_]]:
    """A noisy series ``(T, 1, 96, 96)`` and its mask; the artery peaks at 14 s, the vein at 20 s, both in HU."""
    series = np.tile(bolus(tissue_peak, tissue, tissue_scale)[:, None, None, None], (1, 1, 96, 96))
    series[:, 0, *ARTERY] = bolus(14.0, artery)[:, None, None]
    series[:, 0, *ARTERY] *= np.linspace(1.0, 0.85, 12)
    series[:, 0, *VEIN] = bolus(20.0, vein)[:, None, None]
    return series + np.random.default_rng(3).normal(0.0, noise, series.shape), np.ones((1, 96, 96), dtype=bool)


@pytest.mark.parametrize("artery", [150.0, 80.0, 60.0, 42.0])
def test_a_vein_brighter_than_every_artery_is_not_taken_for_one(artery: float) -> None:
    series, mask = slab(artery=artery)
    strongest = np.argsort(-series[:, mask].max(axis=0))[:20]
    assert series[:, mask][:, strongest].mean(axis=1).argmax() == 20
    found = find_vascular_input(series, mask, dt=1.0)
    assert abs(int(found.aif.argmax()) - 14) <= 1
    assert set(found.aif_voxels[:, 1]) <= set(range(4, 7))
    assert set(found.vof_voxels[:, 1]) <= set(range(30, 34))
    assert found.scaling == pytest.approx(300.0 / found.aif.max(), rel=0.1)
    assert not find_candidates(series, mask, 1.0, 4).averaged


@pytest.mark.parametrize(("tissue", "averaged"), [(3.0, False), (8.0, None)])
def test_the_least_height_goes_with_the_contrast_of_the_brain(tissue: float, averaged: bool | None) -> None:
    """22 HU are an artery where the brain's mean has 7, and grey matter where it has 11."""
    series, mask = slab(artery=24.0, vein=100.0, tissue=tissue)
    if averaged is None:
        with pytest.raises(InputError, match="3 times as high as its mean"):
            find_candidates(series, mask, 1.0, 4)
    else:
        assert find_candidates(series, mask, 1.0, 4).averaged == averaged


def test_where_voxels_are_too_noisy_their_averages_are_judged() -> None:
    series, mask = slab(artery=40.0, vein=100.0, tissue=3.0, noise=8.0)
    found = find_candidates(series, mask, 1.0, 4)
    assert found.averaged
    arteries = np.argwhere(mask)[found.voxels[found.arteries]]
    assert arteries[:, 1].min() >= 3
    assert arteries[:, 1].max() <= 7
    assert np.std(np.diff(found.curves[:4], axis=0)) < 0.6 * np.std(np.diff(series[:4], axis=0))
    assert find_vascular_input(series, mask, dt=1.0).aif.max() > 30


@pytest.mark.parametrize("artery", [60.0, 90.0])
def test_an_input_of_averages_is_reported_whatever_its_height(artery: float) -> None:
    series, mask = slab(artery=artery, vein=100.0, tissue=3.0, noise=artery / 5)
    assert find_candidates(series, mask, 1.0, 4).averaged
    vascular = find_vascular_input(series, mask, dt=1.0)
    assert vascular.aif.max() > 40
    assert abs(int(vascular.aif.argmax()) - 14) <= 1
    assert [finding.code for finding in vascular.findings] == ["arterial-input-weak"]


def test_faint_arteries_are_reported_with_their_height() -> None:
    strong, faint = (find_vascular_input(*slab(artery=hu, tissue=4.0, vein=100.0), dt=1.0) for hu in (80.0, 26.0))
    assert strong.findings == ()
    assert [(found.code, found.severity) for found in faint.findings] == [("arterial-input-weak", "caution")]
    assert f"{faint.aif.max():.0f} HU" in faint.findings[0].sentence


@pytest.mark.parametrize("vein", [60.0, 300.0])
def test_veins_alone_are_refused(vein: float) -> None:
    series, mask = slab(artery=0.0, vein=vein, tissue_peak=19.0)
    with pytest.raises(InputError, match="2 s before it; check that"):
        find_vascular_input(series, mask, dt=1.0)


@pytest.mark.parametrize(("lead", "codes"), [(3.0, set()), (2.3, {"arterial-input-late"}), (1.8, None)])
def test_what_leads_the_brain_by_little_is_doubted_and_by_less_refused(lead: float, codes: set[str] | None) -> None:
    """Where the brain's curve is of the same form, so that rise and peak lead alike."""
    series, mask = slab(artery=90.0, vein=0.0, tissue_peak=14.0 + lead, tissue_scale=2.4)
    if codes is None:
        with pytest.raises(InputError, match="No artery found"):
            find_vascular_input(series, mask, dt=1.0)
        return
    found = find_vascular_input(series, mask, dt=1.0).findings
    assert {finding.code for finding in found if finding.severity == "serious"} == codes
    assert all("2.2 s before the brain" in finding.sentence for finding in found if finding.severity == "serious")


@pytest.mark.parametrize(("height", "tissue"), [(16.0, 2.0), (36.0, 16.0)])
def test_what_rises_by_little_is_no_artery(height: float, tissue: float) -> None:
    with pytest.raises(InputError, match="No artery found"):
        find_candidates(*slab(artery=height, vein=0.0, tissue=tissue, noise=0.5), 1.0, 4)


def test_what_rises_early_and_peaks_late_is_no_artery() -> None:
    series, mask = slab(artery=0.0, vein=0.0, tissue_peak=19.0, tissue_scale=2.4)
    series[:, 0, *ARTERY] = bolus(18.5, 60.0, 4.5)[:, None, None]
    rise, peak = leads(series[:, mask][:, 4 * 96 + 4 : 4 * 96 + 6], series[:, mask].mean(axis=1), 1.0)
    assert rise.min() > LEAD > peak.max()
    with pytest.raises(InputError, match="No artery found"):
        find_candidates(series, mask, 1.0, 4)


def test_tissue_that_leads_the_brain_is_no_artery() -> None:
    """Grey matter peaks before white, whatever the noise."""
    series, mask = slab(artery=0.0)
    series[:, 0, :20] += bolus(17.5, 14.0, 3.5)[:, None, None]
    with pytest.raises(InputError, match="No artery found"):
        find_candidates(series, mask, 1.0, 4)


@pytest.mark.parametrize("dt", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.7])
def test_leads_are_read_between_frames(dt: float, shift: float) -> None:
    """Against the same curves, 4 s and a fraction apart, on frames 0.01 s apart."""
    times, fine = np.arange(0.0, 45.0, dt), np.arange(0.0, 45.0, 0.01)

    def curves(at: Array) -> tuple[Array, Array]:
        return tuple(np.interp(at, TIMES, bolus(peak, 100.0)) for peak in (14.0 + shift, 18.0))  # type: ignore[return-value]

    smooth = (smooth_in_time(curve, 0.01) for curve in curves(fine))
    exact = [[fine[np.argmax(curve >= curve.max() / 2)], fine[curve.argmax()]] for curve in smooth]
    artery, brain = curves(times)
    found = leads(artery[:, None], brain, dt)[:, 0]
    np.testing.assert_allclose(found, np.subtract(exact[1], exact[0]), atol=0.2)
    assert (found > LEAD).all()


def test_averages_take_nothing_from_outside_the_brain() -> None:
    series, mask = slab(artery=40.0, vein=100.0, tissue=3.0, noise=8.0)
    mask[0, :4] = mask[0, 7:30] = False
    outside = np.where(mask, series, 1000.0)
    inside, beside = (find_candidates(volume, mask, 1.0, 4) for volume in (series, outside))
    assert inside.averaged
    np.testing.assert_allclose(inside.curves, beside.curves)
