"""Phases of places that are taken at once, in turns, or to and fro, and those of which an image is lost."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.phases import match_phases

PHASES, PLACES = 9, 4
NOMINAL = np.arange(PHASES) * 2.0
UNEVEN = np.cumsum([0.0, 1, 1, 1, 1, 3, 3, 3, 3])

SCANS = {
    "at once": np.repeat(NOMINAL[:, None], PLACES, axis=1),
    "uneven": np.repeat(UNEVEN[:, None], PLACES, axis=1),
    "slice by slice": NOMINAL[:, None] + 0.4 * np.arange(PLACES),
    "two slabs in turns": NOMINAL[:, None] + np.array([0.0, 0.0, 1.0, 1.0]),
    "uneven slabs": UNEVEN[:, None] + np.array([0.0, 0.0, 0.5, 0.5]),
    "to and fro": NOMINAL[:, None] + np.where(np.arange(PHASES)[:, None] % 2, -1, 1) * np.linspace(-0.9, 0.9, PLACES),
}


def name(place: int, time: float) -> str:
    return f"place {place} at {time:g} s"


def flat(times: np.ndarray, *lost: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Places and times of images in no order, some of them lost."""
    kept = [(t, z) for t, z in np.ndindex(times.shape) if (t, z) not in lost]
    kept = [kept[i] for i in np.random.default_rng(1).permutation(len(kept))]
    return np.array([z for _, z in kept]), np.array([times[place] for place in kept])


@pytest.mark.parametrize("scan", SCANS)
def test_every_image_is_in_its_phase(scan: str):
    times = SCANS[scan]
    of_places, values = flat(times)
    phases = match_phases(of_places, values, name)
    assert_array_equal(phases.times, times)
    assert_array_equal(of_places[phases.planes], np.broadcast_to(np.arange(PLACES), times.shape))
    assert phases.dropped == ()


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("lost", [((PHASES - 1, 1),), ((PHASES - 1, 0), (PHASES - 1, 2), (PHASES - 1, 3))])
def test_a_last_phase_that_is_not_whole_is_dropped(scan: str, lost: tuple[tuple[int, int], ...]):
    of_places, values = flat(SCANS[scan], *lost)
    phases = match_phases(of_places, values, name)
    assert_array_equal(phases.times, SCANS[scan][:-1])
    assert len(phases.dropped) == PLACES - len(lost)


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("phase", range(PHASES - 1))
@pytest.mark.parametrize("place", [0, 2])
def test_an_image_lost_before_the_last_phase_is_named(scan: str, phase: int, place: int):
    with pytest.raises(InputError, match=rf"place {place} .* missing"):
        match_phases(*flat(SCANS[scan], (phase, place)), name)


@pytest.mark.parametrize("scan", SCANS)
def test_images_lost_in_turns_are_not_made_up_for_by_equal_numbers(scan: str):
    lost = [(2 + place, place) for place in range(PLACES)]
    with pytest.raises(InputError, match="missing"):
        match_phases(*flat(SCANS[scan], *lost), name)


def test_more_than_one_lost_phase_is_refused():
    lost = [(PHASES - 1, 0), (PHASES - 2, 0)]
    with pytest.raises(InputError, match=r"2 images behind place 0 at 12 s are missing"):
        match_phases(*flat(SCANS["at once"], *lost), name)
