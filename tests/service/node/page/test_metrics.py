"""Metrics: each line as Prometheus reads it, and the figures behind it."""

import re
from dataclasses import replace
from typing import Any

from ctpdeploy.service.node.events import Act, Event
from ctpdeploy.service.node.page.metrics import metrics

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+]+)')


def samples(text: str) -> dict[str, float]:
    """The samples of a text, each line of which is one or a comment."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("# "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            name = f"{match[1]}{{{match[2]}}}" if match[2] else match[1]
            assert name not in found
            found[name] = float(match[3])
    return found


def test_states_and_deliveries_are_counted(scene: Any):
    scene.study("a")
    scene.study("b", reason="No.")
    scene.ledger.receive("c")
    found = samples(metrics(scene.subject))
    assert found['ctpdeploy_node_studies{state="done"}'] == 2
    assert found['ctpdeploy_node_studies{state="receiving"}'] == 1
    assert found['ctpdeploy_node_studies{state="no scan"}'] == 0
    assert found['ctpdeploy_node_deliveries{archive="PACS@10.0.0.5:104",state="failed"}'] == 1
    assert found["ctpdeploy_node_images_received_total"] == 40
    assert found["ctpdeploy_node_disk_free_bytes"] == 12_345_678_901
    assert found["ctpdeploy_node_healthy"] == 1
    scene.faults = ["The disk is full."]
    assert samples(metrics(scene.subject))["ctpdeploy_node_healthy"] == 0


def test_histograms_add_up(scene: Any):
    for seconds in (4.0, 5.0, 70.0, 1e6):
        scene.tally.note(Event(act=Act.COMPUTED, since_last_image=seconds))
    found = samples(metrics(scene.subject))
    name = "ctpdeploy_node_seconds_to_result"
    assert [found[f'{name}_bucket{{le="{le}"}}'] for le in ("5", "60", "120", "86400", "+Inf")] == [2, 2, 3, 3, 4]
    assert (found[f"{name}_count"], found[f"{name}_sum"]) == (4, 1_000_079)
    assert found['ctpdeploy_node_events_total{event="result made"}'] == 4


def test_a_study_that_waits_for_its_result_is_seen(scene: Any):
    scene.ledger.receive("a")
    scene.ledger.complete("a", images=40, completeness="counted")
    scene.now += 90
    assert samples(metrics(scene.subject))["ctpdeploy_node_oldest_waiting_seconds"] == 90


def test_labels_are_escaped_and_each_family_is_described(scene: Any):
    scene.study("a")
    text = metrics(replace(scene.subject, bundle='a"b\\c\nd'))
    assert r'bundle="a\"b\\c\nd"' in text
    described = set(re.findall(r"# TYPE (\S+) ", text))
    assert described == set(re.findall(r"# HELP (\S+) ", text))
    assert {re.sub(r"_(bucket|sum|count)$", "", re.split("[{ ]", name)[0]) for name in samples(text)} == described
    assert text.startswith("# Research use only")
