"""Arteries as faint as thick slices leave them, beside veins many times as bright."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.perfusion.arteries import find_vascular_input
from ctpdeploy.runtime.perfusion.candidates import STEPS, find_candidates

Array = NDArray[np.float64]
TIMES = np.arange(45.0)
ARTERY, VEIN = (slice(4, 7), slice(4, 16)), (slice(30, 34), slice(4, 24))


def bolus(peak_time: float, peak: float, scale: float = 2.4) -> Array:
    u = np.clip(TIMES - peak_time + 3 * scale, 0, None) / scale
    return peak * (u / 3) ** 3 * np.exp(3 - u)


def slab(*, artery: float, vein: float = 300.0, tissue_peak: float = 21.0) -> tuple[Array, NDArray[np.bool_]]:
    """A noisy series ``(T, 1, 40, 40)`` and its mask; the artery peaks at 14 s, the vein at 20 s, both in HU."""
    series = np.tile(bolus(tissue_peak, 8.0, 3.5)[:, None, None, None], (1, 1, 40, 40))
    series[:, 0, *ARTERY] = bolus(14.0, artery)[:, None, None]
    series[:, 0, *ARTERY] *= np.linspace(1.0, 0.85, 12)
    series[:, 0, *VEIN] = bolus(20.0, vein)[:, None, None]
    return series + np.random.default_rng(3).normal(0.0, 1.5, series.shape), np.ones((1, 40, 40), dtype=bool)


@pytest.mark.parametrize(("artery", "step"), [(150.0, 0), (80.0, 1), (60.0, 2), (42.0, 2), (24.0, 3)])
def test_a_vein_brighter_than_every_artery_is_not_taken_for_one(artery: float, step: int) -> None:
    series, mask = slab(artery=artery)
    found = find_vascular_input(series, mask, dt=1.0)
    assert abs(int(found.aif.argmax()) - 14) <= 1
    assert set(found.aif_voxels[:, 1]) <= set(range(4, 7))
    assert set(found.vof_voxels[:, 1]) <= set(range(30, 34))
    assert found.scaling == pytest.approx(300.0 / found.aif.max(), rel=0.1)
    assert find_candidates(series, mask, 1.0, 4).step == STEPS[step]


def test_faint_arteries_are_reported_with_their_height() -> None:
    strong, faint = (find_vascular_input(*slab(artery=height), dt=1.0) for height in (80.0, 42.0))
    assert strong.findings == ()
    assert [(found.code, found.severity) for found in faint.findings] == [("arterial-input-weak", "caution")]
    assert f"{faint.aif.max():.0f} HU" in faint.findings[0].sentence


@pytest.mark.parametrize("vein", [60.0, 300.0])
def test_veins_alone_are_refused(vein: float) -> None:
    series, mask = slab(artery=0.0, vein=vein, tissue_peak=19.0)
    with pytest.raises(InputError, match="peak before the brain does; check that"):
        find_vascular_input(series, mask, dt=1.0)


def test_what_leads_the_brain_by_little_may_be_a_vein() -> None:
    found = find_vascular_input(*slab(artery=150.0, vein=10.0, tissue_peak=15.0), dt=1.0)
    assert [(finding.code, finding.severity) for finding in found.findings][-1] == ("arterial-input-late", "serious")
    assert "peaks 1 s before the brain" in found.findings[-1].sentence


def test_tissue_that_leads_the_brain_is_no_artery() -> None:
    """Grey matter peaks before white, whatever the noise."""
    series, mask = slab(artery=0.0)
    series[:, 0, :20] += bolus(17.5, 14.0, 3.5)[:, None, None]
    with pytest.raises(InputError, match="No artery found"):
        find_candidates(series, mask, 1.0, 4)


def test_averages_take_nothing_from_outside_the_brain() -> None:
    series, mask = slab(artery=24.0)
    mask[0, :4] = mask[0, 7:30] = False
    outside = np.where(mask, series, 1000.0)
    inside, beside = (find_candidates(volume, mask, 1.0, 4) for volume in (series, outside))
    assert inside.step.averaged
    np.testing.assert_allclose(inside.curves, beside.curves)
