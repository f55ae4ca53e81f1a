"""A short soak; the long one is a command (``make campaign``)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from campaign.soak import Reading, growth, has_grown, soak
from ctpdeploy.runtime import Pipeline, find_cases

STEADY = [Reading(cases=n, rss_mb=300.0 + n % 3, descriptors=13, threads=2) for n in range(10, 310, 10)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["ort-cpu", "native"])
def test_files_and_threads_do_not_grow_with_cases(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path, backend: str
) -> None:
    with Pipeline.open(bundle_folder, backend) as pipeline:
        readings = soak(pipeline, find_cases(phantom_folder), tmp_path, count=30, every=5)
    found = growth(readings)
    assert (found["descriptors"], found["threads"]) == (0, 0)


def test_a_steady_process_has_not_grown() -> None:
    assert not has_grown(STEADY)


@pytest.mark.parametrize(
    "leaking",
    [
        lambda one: replace(one, rss_mb=300.0 + 0.17 * one.cases),
        lambda one: replace(one, descriptors=13 + one.cases // 25),
        lambda one: replace(one, threads=one.cases // 100),
    ],
)
def test_a_leak_is_seen(leaking: Callable[[Reading], Reading]) -> None:
    assert has_grown([leaking(one) for one in STEADY])
