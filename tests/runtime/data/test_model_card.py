"""What a card says, and what it makes known of a result."""

import math

import pytest

from ctpdeploy.runtime.data.model_card import FLOOR, ModelCard, stored_card


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("phantom", "Networks trained on synthetic patients."),
        ("mixed", "Networks trained on synthetic patients among others."),
        ("patients", ""),
        ("unknown", ""),
    ],
)
def test_synthetic_data_is_said_where_it_is_known(kind: str, words: str):
    assert ModelCard(kind=kind).synthetic == words


@pytest.mark.parametrize(("dice", "poor"), [(None, True), (0.05, True), (math.nan, True), (FLOOR, False), (0.5, False)])
def test_under_the_floor_every_result_says_so(dice: float | None, poor: bool):
    card = ModelCard(validation_dice=dice, cases={"validation": 6})
    found = list(card.findings("a"))
    assert [(one.code, one.severity) for one in found] == ([("networks-poor", "serious")] if poor else [])
    assert card.summary()["reaches_floor"] is not poor
    if dice == 0.05:
        assert "a mean Dice of 0.05 on 6 validation cases, and under 0.2 they" in str(found[0])
        assert card.reached == "validation Dice 0.05 of 6 cases"
    if dice is None:
        assert "were not validated: the lesion may be anywhere" in str(found[0])


def test_a_scan_that_was_seen_is_known():
    card = ModelCard(validation_dice=0.5, fingerprints={"train": ["a", "b"], "validation": ["c"]})
    assert [[one.code for one in card.findings(scan)] for scan in "abcd"] == [["case-known"]] * 3 + [[]]
    assert "chose the epoch" in str(next(card.findings("c")))
    assert "fingerprints" not in card.summary()


def test_a_manifest_from_before_has_none():
    assert stored_card({}) is None
    assert stored_card({"card": {"kind": "phantom"}}) == ModelCard(kind="phantom")
