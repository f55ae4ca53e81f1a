"""Clocks: which is believed, and what its texts mean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.dicom_images import ROWS, image

from ctpdeploy.runtime.dicom.clocks import CLOCKS, read_clocks, seconds_of_date_time, seconds_of_time
from ctpdeploy.runtime.dicom.header import read_header
from ctpdeploy.runtime.dicom.plane import Plane, classic_plane

PLACES = np.array([0, 1, 0, 1, 0, 1])


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    path: Path = tmp_path_factory.mktemp("one") / "x"
    image(np.zeros((ROWS, 24), dtype=np.int16), (0, 0, 0), "x").save_as(path, enforce_file_format=True)
    header = read_header(path)
    assert header is not None
    return classic_plane(header)


def planes(plane: Plane, **texts: list[str]) -> list[Plane]:
    return [
        replace(plane, clocks={key: values[i] for key, values in texts.items() if values[i]})
        for i in range(len(PLACES))
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("000000", 0.0),
        ("235959.999999", 86399.999999),
        ("11", 39600.0),
        ("1130", 41400.0),
        ("11:30:05", 41405.0),
        ("110001.5 ", 39601.5),
        ("", None),
        ("1", None),
        ("250000", None),
        ("116000", None),
        ("11a000", None),
        ("110000.x", None),
        ("-11000", None),
    ],
)
def test_times_of_a_day(text: str, seconds: float | None):
    assert seconds_of_time(text) == (None if seconds is None else pytest.approx(seconds, abs=1e-9))


def test_dates_and_times_with_and_without_an_offset():
    start = seconds_of_date_time("20251231235959.5")
    assert start is not None
    assert seconds_of_date_time("20260101000001.0") == start + 1.5
    assert seconds_of_date_time("20260101000001.0+0100") == start + 1.5
    assert seconds_of_date_time("20260101000001-0800") == start + 1.5
    assert seconds_of_date_time("20261301000001") is None
    assert seconds_of_date_time("20260101") is None


def test_the_most_trusted_clock_comes_first(plane: Plane):
    times = ["110000", "110000", "110002", "110002", "110004", "110004"]
    stated = planes(
        plane,
        ACQUISITION_DATE_TIME=["20260102" + time for time in times],
        ACQUISITION_DATE=["20260102"] * 6,
        ACQUISITION_TIME=times,
        CONTENT_TIME=times,
        TRIGGER_TIME=["0", "0", "2000", "2000", "4000", "4000"],
        TEMPORAL_POSITION=["1", "1", "2", "2", "3", "3"],
        TEMPORAL_RESOLUTION=["2000"] * 6,
    )
    readings = list(read_clocks(stated, PLACES))
    names = [reading.clock.name for reading in readings]
    assert names == [
        *("AcquisitionDateTime", "AcquisitionTime", "AcquisitionTime", "ContentTime", "TriggerTime"),
        *("TemporalPositionIdentifier", "TemporalPositionIdentifier"),
    ]
    for reading in readings[:-1]:
        assert_allclose(reading.values - reading.values[0], [0, 0, 2, 2, 4, 4])
        assert reading.twins is None
    assert [reading.clock.unit for reading in readings] == ["s"] * 6 + ["frames"]


def test_midnight(plane: Plane):
    undated = ["235958", "235958", "000000", "000000", "000002", "000002"]
    (reading,) = read_clocks(planes(plane, ACQUISITION_TIME=undated), PLACES)
    assert_allclose(reading.values - reading.values[0], [0, 0, 2, 2, 4, 4])
    dated = ["20251231", "20251231", "20260101", "20260101", "20260101", "20260101"]
    first, *_ = read_clocks(planes(plane, ACQUISITION_TIME=undated, ACQUISITION_DATE=dated), PLACES)
    assert_allclose(first.values - first.values[0], [0, 0, 2, 2, 4, 4])
    # a date that was not moved on at midnight is contradicted by the order of nothing else: one day is added
    assert first.clock.of_a_day is False


def test_the_times_at_which_images_were_made_are_no_times_of_a_scan(plane: Plane):
    made = ["120000.1", "120000.2", "120000.3", "120000.4", "120000.5", "120000.6"]
    assert list(read_clocks(planes(plane, CONTENT_TIME=made), PLACES)) == []
    (reading,) = read_clocks(planes(plane, ACQUISITION_TIME=made), PLACES)  # which scanners state a slice
    assert reading.twins is None


def test_a_clock_that_one_image_lacks_or_that_stands_still_is_none(plane: Plane):
    lacking = ["110000", "110000", "", "110002", "110004", "110004"]
    assert list(read_clocks(planes(plane, ACQUISITION_TIME=lacking), PLACES)) == []
    assert list(read_clocks(planes(plane, ACQUISITION_TIME=["110000"] * 6, TRIGGER_TIME=["nan"] * 6), PLACES)) == []


def test_twins_are_found(plane: Plane):
    (reading,) = read_clocks(planes(plane, TRIGGER_TIME=["0", "0", "0", "2000", "4000", "4000"]), PLACES)
    assert sorted(reading.twins or ()) == [0, 2]


def test_every_clock_is_named_once_or_twice_running():
    names = [clock.name for clock in CLOCKS]
    assert names == sorted(names, key=names.index)
