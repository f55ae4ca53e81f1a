"""Arrivals: a study is complete by its images, not by a clock, where they can be counted."""

from dataclasses import replace
from pathlib import Path

import pytest

from ctpdeploy.runtime.dicom.header import Header, read_header
from ctpdeploy.runtime.dicom.tags import Tag
from ctpdeploy.service.node.arrival import Arrival, Completeness, Completion
from ctpdeploy.service.node.settings import CompleteConfig

CONFIG = CompleteConfig(settle_s=2.0, quiet_s=30.0)


@pytest.fixture(scope="session")
def headers(scan: list[Path]) -> list[Header]:
    found = [header for path in scan if (header := read_header(path))]
    assert len(found) == 40
    return found


def arrived(headers: list[Header], *, pause: float = 0.01, alone: bool = False) -> Arrival:
    arrival = Arrival(CONFIG, alone=alone)
    for number, header in enumerate(headers):
        arrival.add(header, at=number * pause, sender="a")
    return arrival


def stating(headers: list[Header], count: int) -> list[Header]:
    return [replace(one, values={**one.values, Tag.IMAGES_IN_ACQUISITION: str(count).encode()}) for one in headers]


def test_a_full_grid_is_complete_when_its_sender_has_hung_up(headers: list[Header]):
    """Its result is held back for a moment all the same."""
    arrival = arrived(headers)
    assert arrival.complete(3.0) is None
    arrival.leave("a")
    assert arrival.complete(0.49) == Completion(Completeness.FULL, pytest.approx(1.9))
    assert arrival.complete(3.0) == Completion(Completeness.FULL)


def test_a_grid_with_a_gap_waits_for_silence(headers: list[Header]):
    arrival = arrived(headers[:-1])
    arrival.leave("a")
    assert arrival.complete(25.0) is None
    assert arrival.complete(31.0) == Completion(Completeness.QUIET)


def test_a_stated_number_needs_no_moment(headers: list[Header]):
    arrival = arrived(stating(headers, 40))
    assert arrival.complete(0.4) is None
    arrival.leave("a")
    assert arrival.complete(0.4) == Completion(Completeness.COUNTED)


def test_where_images_are_all_that_is_used_nobody_need_hang_up(headers: list[Header]):
    assert arrived(stating(headers, 40), alone=True).complete(0.4) == Completion(Completeness.COUNTED)
    assert arrived(stating(headers[:-2], 40), alone=True).complete(0.4) is None


def test_a_stated_number_that_is_not_the_series_own_is_no_end(headers: list[Header]):
    """As a number of each phase's images."""
    arrival = arrived(stating(headers, 2), alone=True)
    assert arrival.complete(0.4) is None
    arrival.leave("a")
    assert arrival.complete(3.0) == Completion(Completeness.FULL)


def test_another_sender_is_waited_for_too(headers: list[Header]):
    arrival = arrived(headers[:20])
    for header in headers[20:]:
        arrival.add(header, at=0.5, sender="b")
    arrival.leave("b")
    assert arrival.complete(10.0) is None
    arrival.leave("a")
    assert arrival.complete(10.0) == Completion(Completeness.FULL)


def test_a_scanner_that_sends_each_phase_by_itself_is_not_taken_for_done(headers: list[Header]):
    """Its grid is full after every phase; a pause as long as those before is none."""
    arrival = Arrival(CONFIG)
    for number, header in enumerate(headers[:20]):
        arrival.add(header, at=4.0 * (number // 2), sender=number // 2)
        arrival.leave(number // 2)
    last = 4.0 * 9
    assert arrival.complete(last + 11.0) is None
    assert arrival.complete(last + 13.0) == Completion(Completeness.FULL)


def test_a_study_without_a_series_over_time_waits_for_silence(headers: list[Header]):
    arrival = arrived(headers[:4])
    arrival.leave("a")
    assert arrival.complete(25.0) is None
    assert arrival.complete(31.0) == Completion(Completeness.QUIET)


def test_bolus_tracking_is_no_scan(images: list[Path]):
    """Its one slice has as many images as it likes."""
    found = [header for path in images if (header := read_header(path))]
    arrival = arrived([one for one in found if one.text(Tag.SERIES_DESCRIPTION) == "PHANTOM BOLUS TRACKING"])
    arrival.leave("a")
    assert arrival.complete(25.0) is None


def test_patients_are_told_apart(headers: list[Header]):
    other = replace(headers[0], values={**headers[0].values, Tag.PATIENT_ID: b"other"})
    assert len(arrived(headers).patients) == 1
    assert len(arrived([*headers, other]).patients) == 2
