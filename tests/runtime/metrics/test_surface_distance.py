"""Surface distances: shapes with known answers, every pair of points as a slow twin, and MONAI."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from ctpdeploy.runtime.metrics.surface_distance import surface_distance

SHAPE = (6, 20, 24)
SPACING = (5.0, 0.9, 0.8)


def box(*corners: tuple[int, int], shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*corner) for corner in corners)] = True
    return mask


def surface_by_neighbours(mask: np.ndarray) -> np.ndarray:
    """Voxels ``(n, 3)`` of a mask with one of six neighbours outside it or outside the volume."""
    inside = {tuple(voxel) for voxel in np.argwhere(mask)}
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if np.abs(step).sum() == 1]
    return np.array([v for v in sorted(inside) if any(tuple(np.add(v, step)) not in inside for step in steps)])


def every_pair(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float]:
    """HD and ASSD as equations 17 and 18 are printed."""
    pairs = cdist(*(surface_by_neighbours(m) * spacing for m in (mask, truth)))
    from_mask, from_truth = pairs.min(axis=1), pairs.min(axis=0)
    total = from_mask.sum() + from_truth.sum()
    return max(from_mask.max(), from_truth.max()), total / (len(from_mask) + len(from_truth))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_cube_shifted_by_two_voxels_in_mm(axis: int):
    cube = box((1, 4), (4, 10), (4, 10))
    found = surface_distance(cube, np.roll(cube, 2, axis=axis), SPACING)
    assert found.hd_mm == pytest.approx(2 * SPACING[axis])
    assert found.hd_or_diagonal_mm == found.hd_mm


def test_equal_masks_are_at_no_distance():
    cube = box((1, 4), (4, 10), (4, 10))
    assert surface_distance(cube, cube, SPACING).hd_mm == 0.0
    assert surface_distance(cube, cube, SPACING).assd_mm == 0.0


def test_two_single_voxels():
    found = surface_distance(box((1, 2), (3, 4), (5, 6)), box((3, 4), (7, 8), (15, 16)), SPACING)
    expected = math.hypot(2 * 5.0, 4 * 0.9, 10 * 0.8)
    assert found.hd_mm == pytest.approx(expected)
    assert found.assd_mm == pytest.approx(expected)


def test_assd_is_no_mean_of_two_means():
    """One voxel at 4 mm from the near end of a rod of 9: 4 there, 4 to 12 back; 76 / 10, not (4 + 8) / 2."""
    voxel, rod = box((0, 1), (0, 1), (0, 1)), box((0, 1), (0, 1), (4, 13))
    found = surface_distance(voxel, rod, (5.0, 1.0, 1.0))
    assert found.hd_mm == pytest.approx(12.0)
    assert found.assd_mm == pytest.approx(7.6)


def test_beyond_the_border_is_outside():
    """A volume that is all mask has its border as surface, so that a hole's wall is not the only one."""
    full = np.ones((3, 9, 9), dtype=bool)
    inner = box((1, 2), (4, 5), (4, 5), shape=full.shape)
    found = surface_distance(full, inner, (1.0, 1.0, 1.0))
    assert found.hd_mm == pytest.approx(math.hypot(1, 4, 4))
    assert len(surface_by_neighbours(full)) == full.sum() - 7 * 7
    assert found.assd_mm == pytest.approx(every_pair(full, inner, (1.0, 1.0, 1.0))[1])


def test_a_slab_of_two_slices_is_all_surface():
    """Every voxel has its neighbour above or below outside: the inner ones of the larger square count too."""
    large, small = (box((0, 2), (a, b), (a, b), shape=(2, 20, 20)) for a, b in ((2, 17), (5, 14)))
    found = surface_distance(large, small, SPACING)
    assert found.hd_mm == pytest.approx(math.hypot(3 * 0.9, 3 * 0.8))
    rows, columns = np.clip(np.abs(np.mgrid[2:17, 2:17] - 9) - 4, 0, None)
    distances = np.hypot(rows * 0.9, columns * 0.8)
    assert found.assd_mm == pytest.approx(2 * distances.sum() / (2 * 15**2 + 2 * 9**2))


def test_corners_alone_do_not_make_a_surface():
    """A voxel whose only outside neighbours are diagonal ones is inside."""
    truth = np.ones((5, 5, 5), dtype=bool)
    truth[0, 0, 0] = truth[4, 4, 4] = False
    lone = box((2, 3), (2, 3), (2, 3), shape=truth.shape)
    assert [1, 1, 1] not in surface_by_neighbours(truth).tolist()
    expected = every_pair(truth, lone, (1.0, 1.0, 1.0))
    found = surface_distance(truth, lone, (1.0, 1.0, 1.0))
    assert (found.hd_mm, found.assd_mm) == pytest.approx(expected)


@pytest.mark.parametrize("missed", [True, False])
def test_one_empty_mask_is_undefined_and_has_a_price(missed: bool):
    lesion, nothing = box((1, 2), (2, 3), (3, 4)), np.zeros(SHAPE, dtype=bool)
    found = surface_distance(nothing, lesion, SPACING) if missed else surface_distance(lesion, nothing, SPACING)
    assert math.isnan(found.hd_mm)
    assert math.isnan(found.assd_mm)
    opposite = surface_distance(box((0, 1), (0, 1), (0, 1)), box((5, 6), (19, 20), (23, 24)), SPACING)
    assert found.hd_or_diagonal_mm == pytest.approx(opposite.hd_mm)
    assert found.hd_or_diagonal_mm == pytest.approx(math.hypot(5 * 5.0, 19 * 0.9, 23 * 0.8))


def test_two_empty_masks_are_undefined():
    nothing = np.zeros(SHAPE, dtype=bool)
    found = surface_distance(nothing, nothing, SPACING)
    assert all(math.isnan(value) for value in (found.hd_mm, found.hd_or_diagonal_mm, found.assd_mm))


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        surface_distance(np.ones((1, 2, 3), bool), np.ones((2, 2, 3), bool), SPACING)


volumes = arrays(bool, (3, 5, 6), elements=st.booleans()).filter(np.any)
spacings = st.tuples(*[st.sampled_from([0.45, 0.8, 1.0, 5.0, 12.0])] * 3)


@given(volumes, volumes, spacings)
def test_every_pair_of_points_says_the_same(mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float, float]):
    found, swapped = surface_distance(mask, truth, spacing), surface_distance(truth, mask, spacing)
    assert (found.hd_mm, found.assd_mm) == pytest.approx(every_pair(mask, truth, spacing), rel=1e-12)
    assert (swapped.hd_mm, swapped.assd_mm) == pytest.approx((found.hd_mm, found.assd_mm), rel=1e-12)


@given(volumes, volumes, st.tuples(*[st.integers(0, 3)] * 6))
def test_more_air_around_changes_nothing(mask: np.ndarray, truth: np.ndarray, air: tuple[int, ...]):
    wider = [np.pad(m, np.reshape(air, (3, 2))) for m in (mask, truth)]
    assert surface_distance(*wider, SPACING).hd_mm == pytest.approx(surface_distance(mask, truth, SPACING).hd_mm)
    assert surface_distance(*wider, SPACING).assd_mm == pytest.approx(surface_distance(mask, truth, SPACING).assd_mm)


@pytest.mark.filterwarnings("ignore")  # MONAI warns of its own functions and of what it imports
@pytest.mark.parametrize("density", [0.01, 0.3, 0.9])
def test_monai_says_the_same(density: float):
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    rng = np.random.default_rng(5)
    mask, truth = (rng.random((2, *SHAPE)) < density) | box((1, 4), (5, 12), (6, 15))
    mask[:, :3], mask[:, :, :2] = False, False  # so that neither the box nor the surfaces are the same
    tensors = [torch.from_numpy(m)[None, None].float() for m in (mask, truth)]
    found = surface_distance(mask, truth, SPACING)
    hd = compute_hausdorff_distance(*tensors, include_background=True, spacing=SPACING)
    assd = compute_average_surface_distance(*tensors, include_background=True, symmetric=True, spacing=SPACING)
    assert found.hd_mm == pytest.approx(float(hd), rel=1e-5)
    assert found.assd_mm == pytest.approx(float(assd), rel=1e-5)
