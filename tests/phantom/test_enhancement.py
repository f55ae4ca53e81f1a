"""The series of an ideal scanner: few curves stand for all."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.anatomy import make_head
from ctpdeploy.phantom.bolus import DELAYS, TRANSIT_TIMES, artery_rows, draw_bolus, tissue_rows
from ctpdeploy.phantom.enhancement import OTHERS, USUAL_FLOW, IdealSeries, _basis, _blur, _perfused, _pial_delay
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.ischaemia import Tissue
from ctpdeploy.phantom.scanner import workstation_maps
from ctpdeploy.phantom.vessels import JITTER_MM, VESSELS, tubes
from ctpdeploy.runtime.perfusion.maps import perfusion_maps

TIMES = np.arange(0.0, 61.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_basis_leaves_less_than_the_noise_would_show(seed: int) -> None:
    """Arteries within 0.7 HU of 400, tissue at its usual flow within 0.07 HU; frames have a noise of 2 HU and more.

    These are the worst of the table, which hardly a voxel has: what is left of a patient's maps is in the test below.
    """
    bolus = draw_bolus(np.random.default_rng(seed), TIMES[-1])
    others = [bolus.vof(), bolus.late(5.0, 3.0), bolus.aif(), bolus.leaked()]
    curves = bolus.at(np.concatenate([bolus.table(), others]), TIMES).astype(np.float64)
    basis = _basis(curves.astype(np.float32)).astype(np.float64)
    left = abs(curves - curves @ basis.T @ basis)
    arteries = 45 + OTHERS
    assert left[-arteries:].max() < 0.7
    assert USUAL_FLOW * left[:-arteries].max() < 0.07


@pytest.mark.parametrize("seed", [2, 6])
def test_a_few_curves_give_the_maps_that_all_of_them_give(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames within 0.1 HU, Tmax within 0.02 s; CBF in at most 1 of 100 voxels another whole number, by rounding."""
    few = make_patient(seed, PhantomConfig(size=64, slices=2))
    monkeypatch.setattr("ctpdeploy.phantom.enhancement.BASIS", 200)
    every = make_patient(seed, PhantomConfig(size=64, slices=2))
    assert 0 < abs(few.series - every.series).max() < 0.1
    assert abs(few.maps["tmax"] - every.maps["tmax"]).max() < 0.02
    assert np.mean(few.maps["cbf"] != every.maps["cbf"]) < 0.01


def test_frames_are_weights_by_curves_above_the_baseline() -> None:
    rng = np.random.default_rng(0)
    weights, curves, baseline = rng.random((1, 4, 5, 3)), rng.random((3, 6)), rng.random((1, 4, 5))
    series = IdealSeries(baseline=baseline, weights=weights, curves=curves)
    expected = baseline + np.einsum("rt,dhwr->tdhw", curves, weights)
    np.testing.assert_allclose(series.frames(), expected, rtol=1e-6)


def test_the_point_spread_function_is_a_gaussian_of_one_pixel() -> None:
    image = np.random.default_rng(0).random((9, 7, 2), dtype=np.float32)
    expected = gaussian_filter(image.astype(float), (0.425, 0.425, 0.0), radius=(1, 1, 0), mode="nearest")
    _blur(image)
    np.testing.assert_allclose(image, expected, atol=1e-4)


def test_small_arteries_are_as_late_as_the_tissue_around() -> None:
    grid = Grid.centred(size=16, slices=1, subslices=2, fov=32.0, thickness=6.0, bottom=0.0, centre_y=0.0)
    columns = np.arange(16) * np.ones((2, 16, 1), np.float32)
    tissue = SimpleNamespace(cbf=(columns % 2 == 0) * np.float32(50), delay=np.where(columns % 2 == 0, 3, 0))
    tissue.delay[..., 9:] *= 2
    delay = _pial_delay(grid, tissue)
    assert delay.shape == (2, 16, 16)
    np.testing.assert_allclose(delay[:, :, :6], 3.0, rtol=1e-5)
    np.testing.assert_allclose(delay[:, :, 13:], 6.0, rtol=1e-5)


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


def test_perfused_voxels_add_up_their_fine_voxels() -> None:
    """Tissue by bilinear, pial arteries by linear look-up in the table, one fine voxel after another, in float64."""
    rng = np.random.default_rng(0)
    grid = Grid.centred(size=12, slices=2, subslices=3, fov=24.0, thickness=6.0, bottom=0.0, centre_y=0.0)
    fine = (6, 12, 12)
    kind = rng.choice(3, size=fine)  # nothing, tissue, CSF with small arteries
    blood = np.where(kind, 0.4 * rng.random(fine), 0).astype(np.float32)
    pial = np.where(kind == 2, blood, 0).astype(np.float32)
    cbf, mtt, delay = (
        np.where(kind == 1, rng.uniform(low, high, fine), 0).astype(np.float32)
        for low, high in ((10, 70), (1.5, 31.0), (0.0, 21.0))
    )
    rest = dict.fromkeys(("cbv", "core", "penumbra", "old", "hu"), np.zeros(fine, np.float32))
    tissue = Tissue(cbf=cbf, mtt=mtt, delay=delay, **rest)
    table = rng.random((len(TRANSIT_TIMES) * len(DELAYS) + len(DELAYS), 5))
    expected, around = np.zeros((2, 12, 12, 5)), _pial_delay(grid, tissue)
    for z, y, x in np.argwhere(kind):
        if kind[z, y, x] == 1:
            rows, weights = tissue_rows(mtt[z, y, x, None], delay[z, y, x, None])
            amount = cbf[z, y, x] * (1 - blood[z, y, x])
        else:
            rows, weights = artery_rows(around[z, y, x, None])
            amount = pial[z, y, x]
        expected[z // 3, y, x] += amount / 3 * (weights[:, 0].astype(float) @ table[rows[:, 0]])
    found = _perfused(grid, tissue, pial, blood) @ table
    np.testing.assert_allclose(found, expected.reshape(-1, 5), rtol=1e-4, atol=1e-4)
    assert abs(_perfused(grid, tissue, pial, 0 * blood) @ table - found).max() > 1


def test_a_tube_is_full_within_and_empty_beyond_its_wall() -> None:
    """Against the distance of every fine voxel to the whole centre line, in float64."""
    grid = Grid.centred(size=64, slices=12, subslices=3, fov=200.0, thickness=9.0, bottom=-40.0, centre_y=-17.0)
    head, _ = make_head(grid, np.random.default_rng(0), "procedural")
    pixel, found = head.grid.spacing[2], list(tubes(head, np.random.default_rng(1)))
    assert len(found) == sum(1 + vessel.paired for vessel in VESSELS)
    rng, places = np.random.default_rng(1), np.stack([head.x, head.y, head.z], axis=-1).astype(float)
    for vessel, side, box, share in found:
        line = np.array(vessel.points, dtype=float)
        line[1:-1] += rng.normal(0.0, JITTER_MM, size=(len(line) - 2, 3))
        line[:, 0] *= side
        distance = np.inf
        for start, end in pairwise(line):
            along = end - start
            part = np.clip((places - start) @ along / (along @ along), 0, 1)
            distance = np.minimum(distance, np.linalg.norm(places - start - part[..., None] * along, axis=-1))
        expected = np.clip((vessel.radius - distance) / pixel + 0.5, 0, 1)
        np.testing.assert_allclose(share, expected[box], atol=1e-4)
        expected[box] = 0
        assert not expected.any(), vessel.name
