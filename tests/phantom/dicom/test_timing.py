"""When images are taken, and which of many elements says so."""

import numpy as np
import pytest

from ctpdeploy.phantom.dicom import LAYOUTS, slice_times
from ctpdeploy.phantom.dicom.timing import clock_elements, moment

TIMES = np.arange(6) * 2.0
CLASSIC = [name for name, layout in LAYOUTS.items() if layout.files == "image"]


def test_midnight_comes_with_the_next_date():
    assert (moment("235950", 9.999999).date, moment("235950", 9.999999).time) == ("20240310", "235959.999999")
    assert (moment("235950", 10.0).date, moment("235950", 10.0).time) == ("20240311", "000000.000000")
    assert moment("000010", -10.5).time == "235959.500000"


@pytest.mark.parametrize("name", CLASSIC)
def test_one_clock_is_true_and_the_others_stand_still_or_count_images(name: str):
    layout, seconds = LAYOUTS[name], (0.0, 0.0, 2.0, 2.0)
    found = [clock_elements(layout, "101500", at, int(at), made) for made, at in enumerate(seconds)]
    different = {keyword: len({elements[keyword] for elements in found}) for keyword in found[0]}
    assert different.pop(layout.clock) == 2
    assert different.pop("TemporalPositionIdentifier", 2) == 2
    assert all(count in (1, 4) for count in different.values())


def test_a_table_between_two_positions_takes_each_half_of_the_way_between_the_other():
    times = slice_times(LAYOUTS["ge-shuttle"], TIMES, 5)
    assert times is not None
    assert times.shape == (6, 5)
    assert np.array_equal(times[:, 0], TIMES)
    assert np.array_equal(times[:, 1], TIMES)
    assert np.array_equal(times[:, 2:], np.repeat(TIMES[:, None] + 1.0, 3, axis=1))


def test_a_spiral_takes_no_two_slices_at_once_and_turns_at_the_ends():
    times = slice_times(LAYOUTS["siemens-spiral"], TIMES, 5)
    assert times is not None
    assert len(np.unique(times)) == times.size
    assert np.all(np.diff(times[::2], axis=1) > 0)
    assert np.all(np.diff(times[1::2], axis=1) < 0)
    assert np.all(np.diff(times, axis=0) > 0)
    gaps = np.diff(times[:, 0])
    assert np.allclose(gaps[::2], gaps[0])
    assert gaps[0] > 2 * gaps[1], "long and short in turns at an end"


def test_a_table_that_stands_still_takes_all_at_once():
    assert slice_times(LAYOUTS["one-series"], TIMES, 5) is None
