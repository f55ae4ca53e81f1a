"""Maps of whole series: the digital phantom, its frame times, and what is refused."""

from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray
from support.tissue_curves import Curve

from ctpdeploy.errors import InputError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.bolus import DELAYS, TRANSIT_TIMES
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.perfusion import maps
from ctpdeploy.runtime.perfusion.arteries import VascularInput, find_vascular_input
from ctpdeploy.runtime.perfusion.deconvolution import deconvolve
from ctpdeploy.runtime.perfusion.frames import resample_frames
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax
from ctpdeploy.runtime.perfusion.maps import perfusion_maps


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


@pytest.mark.parametrize("settings", [{}, {"tmax": "onset"}, {"method": "osvd"}, {"method": "tikhonov"}])
def test_the_input_of_a_vein_gives_no_maps(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """Never Tmax 0 over a healthy hemisphere."""
    config = PerfusionConfig(**settings)
    found = perfusion_maps(patient.series, patient.times, patient.spacing, config)
    assert healthy_tmax(found.maps["tmax"], found.maps["cbf"] > 0) >= 1.0

    def confused(*arguments: Any) -> VascularInput:
        found = find_vascular_input(*arguments)
        return replace(found, aif=found.vof, scaling=1.0)

    monkeypatch.setattr(maps, "find_vascular_input", confused)
    with pytest.raises(InputError, match=r"Tmax would be 0\.\d s in the healthier hemisphere.* as a vein's is"):
        perfusion_maps(patient.series, patient.times, patient.spacing, config)


@pytest.mark.parametrize("tmax", ["maximum", "onset"])
def test_curves_are_deconvolved_once(patient: Patient, monkeypatch: pytest.MonkeyPatch, tmax: str) -> None:
    counted = Mock(wraps=maps.residue_functions)
    monkeypatch.setattr(maps, "residue_functions", counted)
    perfusion_maps(patient.series, patient.times, patient.spacing, PerfusionConfig(tmax=tmax))  # type: ignore[arg-type]
    counted.assert_called_once()


def test_an_onset_in_the_first_frame_is_no_sign_of_a_vein() -> None:
    """At 2.15 s a frame, healthy tissue can be on its way before the first has passed."""
    coarse = make_patient(4, PhantomConfig(size=64, slices=2, frames=20))
    settings = [PerfusionConfig(method="osvd", tmax=tmax) for tmax in ("maximum", "onset")]
    maximum, onset = (perfusion_maps(coarse.series, coarse.times, coarse.spacing, config) for config in settings)
    assert healthy_tmax(onset.maps["tmax"], onset.maps["cbf"] > 0) == 0.0
    assert healthy_tmax(maximum.maps["tmax"], maximum.maps["cbf"] > 0) > 1.0


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
