"""Board: what is shown of each study, and a tag that changes with it."""

import json
from typing import Any

from ctpdeploy.service.node.page.board import Board


def look(scene: Any) -> dict[str, Any]:
    content, _ = Board(scene.subject, changeable=False).content()
    return json.loads(content)


def test_the_newest_study_is_the_first_and_has_all_there_is_to_know(scene: Any):
    scene.study("a")
    scene.study("b", reason="It does not know this machine.")
    board = look(scene)
    assert [study["key"] for study in board["studies"]] == ["b", "a"]
    study = board["studies"][0]
    assert (study["state"], study["images"], study["completeness"]) == ("done", 40, "full grid")
    (result,) = study["results"]
    assert (result["version"], result["volume_ml"], result["findings"][0]["severity"]) == (1, 12.345, "note")
    (delivery,) = result["deliveries"]
    assert (delivery["state"], delivery["tries"]) == ("failed", 1)
    assert delivery["reason"] == "It does not know this machine."
    assert board["intended_use"].startswith("Research use only")
    assert board["disk"] == {"free": 12.3e9, "used": 5e9}
    assert board["throughput"]["to_result_s"] == 10


def test_studies_beyond_a_hundred_are_counted(scene: Any):
    for number in range(103):
        scene.now += 1
        scene.ledger.receive(str(number))
    board = look(scene)
    assert (len(board["studies"]), board["hidden"]) == (100, 3)
    assert board["studies"][0]["key"] == "102"


def test_a_report_that_is_gone_or_none_leaves_the_rest(scene: Any):
    scene.study("a")
    scene.study("b")
    (scene.results / "a" / "report.json").unlink()
    (scene.results / "b" / "report.json").write_text("[]")
    shown = [study["results"][0] for study in look(scene)["studies"]]
    assert [(one["volume_ml"], one["findings"]) for one in shown] == [(None, [])] * 2


def test_the_tag_changes_with_what_is_shown_and_not_before(scene: Any, monkeypatch: Any):
    monkeypatch.setattr("ctpdeploy.service.node.page.board._FRESH", 0.0)
    board = Board(scene.subject, changeable=False)
    scene.study("a")
    _, first = board.content()
    assert board.content()[1] == first
    scene.faults = ["The disk is full."]
    assert board.content()[1] != first


def test_all_who_look_at_once_cause_one_look(scene: Any):
    board = Board(scene.subject, changeable=False)
    content = board.content()
    scene.study("a")
    assert board.content() is content
