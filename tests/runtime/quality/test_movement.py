"""Displacements of a head, found again."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import ndimage

from ctpdeploy.phantom import Patient
from ctpdeploy.runtime.quality.movement import displacements


@pytest.mark.parametrize("moved_mm", [(1.5, 0.0), (0.0, -2.0), (1.0, 1.0)])
def test_a_displacement_is_found_again(patient: Patient, moved_mm: tuple[float, float]) -> None:
    pixel = patient.spacing[1:]
    steps = [mm / side for mm, side in zip(moved_mm, pixel, strict=True)]
    series = patient.series.copy()
    series[20:] = ndimage.shift(series[20:], (0, 0, *steps), order=1, mode="nearest")
    found = displacements(series, pixel)
    assert_allclose(found[20:], np.broadcast_to(moved_mm, found[20:].shape), atol=0.2)
    assert_allclose(found[:20], 0.0, atol=0.05)


def test_a_head_at_rest_stays(patient: Patient) -> None:
    assert np.abs(displacements(patient.series, patient.spacing[1:])).max() < 0.05


@pytest.mark.parametrize("shape", [(4, 2, 8, 8), (4, 1, 1, 8)])
def test_images_without_edges_do_not_move(shape: tuple[int, ...]) -> None:
    assert_allclose(displacements(np.full(shape, 30.0), (1.0, 1.0)), 0.0)


def test_numbers_that_are_no_hu_do_not_move() -> None:
    """They are refused for what they are, by another check."""
    image = np.random.default_rng(0).normal(0.0, 1e30, (4, 2, 16, 16)).astype(np.float32)
    assert_allclose(displacements(image, (1.0, 1.0)), 0.0)
