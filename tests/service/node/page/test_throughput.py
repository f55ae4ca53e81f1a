"""Throughput: medians from the last image on, and counts of an hour and a day."""

from typing import Any

from ctpdeploy.service.node.page.throughput import throughput


def figures(scene: Any) -> dict[str, Any]:
    ledger = scene.ledger
    return throughput(ledger.studies(), ledger.results(), ledger.deliveries(), now=scene.now)


def test_an_empty_node_has_no_figures(scene: Any):
    assert figures(scene) == {"last_hour": 0, "last_day": 0, "to_result_s": None, "to_delivery_s": None}


def test_medians_are_from_the_last_image(scene: Any):
    for key, seconds in (("a", 10.0), ("b", 20.0), ("c", 60.0)):
        scene.study(key, seconds=seconds)
    assert figures(scene) == {"last_hour": 3, "last_day": 3, "to_result_s": 20, "to_delivery_s": 25}


def test_what_was_not_delivered_took_no_time(scene: Any):
    scene.study("a", reason="No.")
    assert figures(scene)["to_delivery_s"] is None


def test_yesterday_is_over(scene: Any):
    scene.study("a")
    scene.now += 2 * 3600
    scene.study("b", seconds=50.0)
    assert (figures(scene)["last_hour"], figures(scene)["last_day"]) == (1, 2)
    scene.now += 24 * 3600 - 60
    assert (figures(scene)["last_day"], figures(scene)["to_result_s"]) == (1, 50)


def test_a_study_that_grows_gives_no_time_before_its_last_image(scene: Any):
    scene.study("a")
    scene.now += 100
    scene.ledger.receive("a")
    scene.ledger.complete("a", images=42, completeness="full grid")
    assert figures(scene)["to_result_s"] is None
