"""The brain mask on made-up rings and on the phantom."""

import numpy as np
import pytest
from scipy import ndimage

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.runtime.perfusion.brain import _filled, brain_mask, dilate, erode

SPACING = (5.0, 1.0, 1.0)


def head(*, skull: float = 1000.0, gap: int = 0) -> np.ndarray:
    """A round slice ``(1, 120, 120)``: brain to 40 mm, skull to 46, scalp to 52, air; a gap in the skull in mm."""
    y, x = np.mgrid[-60:60, -60:60] + 0.5
    radius = np.hypot(y, x)
    slice_ = np.select([radius < 40, radius < 46, radius < 52], [30.0, skull, 20.0], -1000.0)
    slice_[(abs(x) < gap / 2) & (y > 0) & (radius > 40) & (radius < 46)] = 30.0
    return slice_[None]


def radius() -> np.ndarray:
    y, x = np.mgrid[-60:60, -60:60] + 0.5
    return np.hypot(y, x)


@pytest.mark.parametrize("gap", [0, 2, 5])
def test_inside_of_the_skull_less_a_margin(gap: int) -> None:
    mask = brain_mask(head(gap=gap), SPACING)[0]
    assert mask[radius() < 37].all()
    assert not mask[radius() > 40].any()


@pytest.mark.parametrize("gap", [8, 24, 36])
def test_an_open_skull_is_closed_by_a_line(gap: int) -> None:
    mask = brain_mask(np.concatenate([head(gap=gap), head()]), SPACING)[0]
    assert mask[radius() < 33].all()
    assert not mask[radius() > 42].any()


def test_a_skull_that_the_field_of_view_cuts_is_closed_there() -> None:
    cut = np.repeat(head()[:, 20:], 2, axis=0)
    mask = brain_mask(cut, SPACING)[1]
    assert mask[6:][radius()[26:] < 35].all()
    assert not mask[radius()[20:] > 40].any()


def test_bone_that_is_no_skull_encloses_nothing() -> None:
    half = head()
    half[0, 30:][half[0, 30:] == 1000.0] = 30.0
    assert not brain_mask(half, SPACING).any()


def test_a_hole_in_the_brain_is_filled() -> None:
    image = head()
    image[0, 55:60, 55:60] = 1200.0  # a calcification or a clip
    assert brain_mask(image, SPACING)[0, 55:60, 55:60].all()


def test_a_stripped_skull_gives_what_is_not_air() -> None:
    mask = brain_mask(np.where(head() == 30.0, 30.0, 0.0), SPACING)[0]
    assert mask[radius() < 37].all()
    assert not mask[radius() > 40].any()


def test_a_slice_without_bone_beside_slices_with_it_holds_no_brain() -> None:
    scalp_only = np.where(head() > -500, 30.0, -1000.0)  # above the vertex or in the neck
    mask = brain_mask(np.concatenate([scalp_only, head()]), SPACING)
    assert not mask[0].any()
    assert mask[1].any()


def test_a_slice_of_air_or_of_bone_is_empty() -> None:
    assert not brain_mask(np.full((1, 32, 32), -1000.0), SPACING).any()
    assert not brain_mask(np.full((1, 32, 32), 1000.0), SPACING).any()


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (0.7, 1.9), (3.5, 0.5)])
@pytest.mark.parametrize("radius_mm", [1.8, 3.0])
def test_a_mask_grows_and_shrinks_by_euclidean_distances(pixel: tuple[float, float], radius_mm: float) -> None:
    mask = np.random.default_rng(0).random((2, 40, 33)) < 0.08
    within = [ndimage.distance_transform_edt(~image, sampling=pixel) <= radius_mm for image in mask]
    np.testing.assert_array_equal(dilate(mask, pixel, radius_mm), within)
    np.testing.assert_array_equal(erode(~mask, pixel, radius_mm), ~np.stack(within))


def test_holes_are_what_no_way_in_the_slice_leads_out_of() -> None:
    masks = np.random.default_rng(0).random((4, 30, 30)) < 0.55
    masks[3] = False
    expected = [ndimage.binary_fill_holes(mask) for mask in masks]
    np.testing.assert_array_equal(_filled(masks), expected)
    assert (_filled(masks) & ~masks).sum() > 100


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("seed", range(3))
def test_agreement_with_the_true_brain(size: int, seed: int) -> None:
    patient = make_patient(seed, PhantomConfig(size=size, slices=2, frames=20))
    mask = brain_mask(patient.series.mean(axis=0), patient.spacing)
    assert 2 * (mask & patient.brain).sum() / (mask.sum() + patient.brain.sum()) > 0.97
