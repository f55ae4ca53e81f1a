"""Motion: the head moves as recorded, noise does not, maps suffer, and none is none to the bit."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import center_of_mass, shift

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient, write_dataset
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.motion import Motion, Offset, displace, draw_motion, draw_offset, move
from ctpdeploy.phantom.scanner import workstation_maps


def spot(right: float, front: float) -> np.ndarray:
    """A smooth spot ``(1, 65, 65)``, so many pixels to the right and the front of the centre."""
    y, x = np.mgrid[:65, :65] - 32.0
    return np.exp(-((x - right) ** 2 + (y - front) ** 2) / 18.0)[None].astype(np.float32)


def config(**changes: float) -> PhantomConfig:
    return PhantomConfig(size=64, slices=2, frames=20, **changes)


@pytest.fixture(scope="module")
def still() -> Patient:
    return make_patient(4, config())


@pytest.fixture(scope="module")
def moving() -> Patient:
    return make_patient(4, config(motion=1.0))


@pytest.mark.parametrize(
    ("right", "front", "turn", "expected"),
    [
        (1.5, -1.0, 0.0, (13, -2)),
        (0.0, 0.0, 90.0, (0, 10)),
        (0.0, 0.0, 30.0, (8.6603, 5)),
        (1.5, -1.0, 90.0, (3, 8)),
        (0.2, 0.1, -2.0, (10 * np.cos(np.radians(2)) + 0.4, -10 * np.sin(np.radians(2)) + 0.2)),
    ],
)
def test_a_spot_goes_where_the_motion_says(
    right: float, front: float, turn: float, expected: tuple[float, float]
) -> None:
    """A spot 10 pixels to the right, pixels of half a millimetre, first turned and then shifted."""
    motion = Motion(right_mm=(0.0, right), front_mm=(0.0, front), turn_degrees=(0.0, turn))
    series = np.stack([spot(10, 0), spot(10, 0)])
    moved = move(series, motion, 0.5)
    np.testing.assert_array_equal(moved[0], series[0])
    np.testing.assert_allclose(moved[1], spot(*expected), atol=2e-3)
    np.testing.assert_array_equal(series[1], spot(10, 0))


def test_a_walk_with_one_jerk() -> None:
    draws = [draw_motion(np.random.default_rng(seed), 45, 1.0) for seed in range(300)]
    places = np.array([[m.right_mm, m.front_mm, m.turn_degrees] for m in draws if m is not None])
    assert not places[..., 0].any()
    steps = np.diff(places)
    spread = np.median(abs(steps), axis=(0, 2)) / 0.6745  # of normal steps, whatever the jerk
    np.testing.assert_allclose(spread, [0.3, 0.3, 0.15], rtol=0.06)
    longest = np.sort(np.hypot(steps[:, 0], steps[:, 1]))
    assert 1.5 < longest[:, -1].mean() < 2.5  # 0 to 4 mm
    assert 3.0 < longest[:, -1].max() < 5.5
    assert longest[:, -2].mean() < 1.0  # no second one
    assert 2.0 < abs(steps[:, 2]).max() < 3.7


def test_strength_multiplies() -> None:
    once, twice = (draw_motion(np.random.default_rng(0), 30, strength) for strength in (1.0, 2.0))
    assert once is not None
    assert twice is not None
    np.testing.assert_allclose(twice.right_mm, 2 * np.array(once.right_mm), atol=2e-3)
    np.testing.assert_allclose(twice.turn_degrees, 2 * np.array(once.turn_degrees), atol=2e-3)
    assert draw_motion(np.random.default_rng(0), 30, 0.0) is None


def test_the_head_moves_and_noise_does_not(still: Patient, moving: Patient) -> None:
    np.testing.assert_array_equal(moving.series[0], still.series[0])
    difference = abs(moving.series - still.series)
    assert difference[:, :, :4, :4].max() < 0.01  # air, in which only noise is seen
    assert difference[-1][moving.brain].mean() > 1.0


def test_motion_spoils_the_maps_and_nothing_else(still: Patient, moving: Patient) -> None:
    shown, _ = workstation_maps(moving.series, moving.times, moving.spacing)
    for name, volume in moving.maps.items():
        np.testing.assert_array_equal(volume, shown[name])
    healthy = (still.maps["cbf"] > 0) & (moving.maps["cbf"] > 0)
    healthy &= still.truth["core"] + still.truth["penumbra"] + still.truth["old"] < 0.01
    right = [np.corrcoef(p.maps["cbf"][healthy], p.truth["cbf"][healthy])[0, 1] for p in (still, moving)]
    assert right[1] < right[0] - 0.1
    np.testing.assert_array_equal(moving.ct, still.ct)
    np.testing.assert_array_equal(moving.dwi, still.dwi)
    np.testing.assert_array_equal(moving.lesion, still.lesion)
    assert moving.stroke == still.stroke


def test_dwi_and_lesion_shift_together_against_ct() -> None:
    """By 7.4 mm to the back and 0.6 mm upwards, in this patient."""
    shifted, aligned = (make_patient(8, config(misregistration=strength)) for strength in (4.0, 0.0))
    np.testing.assert_array_equal(shifted.series, aligned.series)
    assert aligned.misregistration == Offset(right_mm=0.0, front_mm=0.0, up_mm=0.0)
    pixel, offset = aligned.spacing[2], shifted.misregistration
    for place in (lambda p: np.mean(np.nonzero(p.lesion), axis=1)[1:], lambda p: center_of_mass(p.dwi)[1:]):
        moved = (np.array(place(shifted)) - place(aligned)) * pixel
        np.testing.assert_allclose(moved, (offset.front_mm, offset.right_mm), atol=0.8 * pixel)


def test_a_spot_is_displaced_as_the_offset_says() -> None:
    shifted = displace(spot(10, 0), Offset(right_mm=1.5, front_mm=-1.0, up_mm=0.0), 0.5)
    np.testing.assert_allclose(shifted, spot(13, -2), atol=2e-3)


def test_dwi_higher_by_one_fine_slice_shows_what_lay_below() -> None:
    grid = Grid.centred(size=2, slices=3, subslices=2, fov=4.0, thickness=4.0, bottom=0.0, centre_y=0.0)
    fine = np.arange(6.0)[:, None, None] * np.ones((1, 2, 2))
    np.testing.assert_allclose(grid.average(fine, 2.0)[:, 0, 0], [0.0, 1.5, 3.5])
    np.testing.assert_allclose(grid.average(fine, -1.0)[:, 0, 0], [1.0, 3.0, 4.75])


def test_dwi_shifts_by_half_a_millimetre_to_two_and_up_or_down() -> None:
    draws = [draw_offset(np.random.default_rng(seed), 1.0) for seed in range(200)]
    lengths = [np.hypot(d.right_mm, d.front_mm) for d in draws]
    assert 0.49 < min(lengths) < 0.6
    assert 1.9 < max(lengths) < 2.01
    assert -4.0 <= min(d.up_mm for d in draws) < -3.5
    assert 3.5 < max(d.up_mm for d in draws) <= 4.0


def test_the_truth_on_disk_tells_of_motion(tmp_path: Path) -> None:
    for name, strength in (("moving", 1.0), ("still", 0.0)):
        changes = config(motion=strength, misregistration=strength)
        write_dataset(tmp_path / name, cases=1, seed=1, config=changes)
    moving, still = (
        json.loads((tmp_path / name / "case_1" / "truth.json").read_text()) for name in ("moving", "still")
    )
    assert set(moving["motion"]) == {"right_mm", "front_mm", "turn_degrees"}
    assert len(moving["motion"]["turn_degrees"]) >= 10
    assert set(moving["misregistration"]) == {"right_mm", "front_mm", "up_mm"}
    assert (moving["config"]["motion"], moving["config"]["anatomy"]) == (1.0, "procedural")
    assert still["motion"] is None
    assert not any(still["misregistration"].values())


@pytest.mark.parametrize(("right", "front"), [(1.3, -0.4), (-2.0, 0.0), (0.0, 1.7)])
def test_a_displacement_is_that_of_splines_on_each_slice(right: float, front: float) -> None:
    images = np.pad(np.random.default_rng(0).random((3, 40, 55), dtype=np.float32), ((0, 0), (15, 15), (15, 15)))
    displaced = displace(images, Offset(right_mm=right, front_mm=front, up_mm=0.0), 1.6)
    expected = [shift(image.astype(float), (front / 1.6, right / 1.6), order=3, mode="nearest") for image in images]
    np.testing.assert_allclose(displaced, expected, atol=2e-6)
    swapped = displace(images, Offset(right_mm=front, front_mm=right, up_mm=0.0), 1.6)
    assert abs(swapped - np.stack(expected)).max() > 0.1
