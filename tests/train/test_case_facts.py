"""The share of a model card that the data make."""

from dataclasses import replace

import pytest

from ctpdeploy import __version__
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime import Case
from ctpdeploy.train.case_facts import CaseFacts, card_of
from ctpdeploy.train.split import Split

FACTS = CaseFacts(
    fingerprint="0" * 16,
    kind="unknown",
    maker="",
    maps="given",
    lesion_ml=1.0,
    spacing=(5.0, 0.9, 0.8),
    frame_interval=1.0,
)
SPLIT = Split(train=("a", "b", "c"), validation=("d",), test=("e", "f"))


def facts(**others: CaseFacts) -> dict[str, CaseFacts]:
    return dict.fromkeys("abcd", FACTS) | others


def test_facts_are_those_of_the_case(phantom_case: Case):
    found = CaseFacts.of(replace(phantom_case, maker="M" * 99))
    assert (found.kind, found.maker, found.maps) == ("phantom", "M" * 64, "given")
    assert found.lesion_ml == phantom_case.geometry.volume_ml(phantom_case.lesion)
    assert found.spacing == phantom_case.geometry.spacing
    assert CaseFacts.of(replace(phantom_case, lesion=None)).lesion_ml == 0.0


def test_the_card_counts_patients_and_cases_and_spans_what_was_trained_on():
    given = facts(
        b=replace(FACTS, lesion_ml=9.0, maker="A", maps="computed", spacing=(8.0, 1.0, 1.0), fingerprint="1" * 16),
        d=replace(FACTS, lesion_ml=50.0, spacing=(12.0, 2.0, 2.0), fingerprint="2" * 16),
    )
    card = card_of(given, SPLIT, {"a": "1", "b": "1", "c": "2", "d": "3", "e": "4", "f": "4"}, "unknown")
    assert (card.patients, card.patients_stated) == ({"train": 2, "validation": 1, "test": 1}, True)
    assert card.cases == {"train": 3, "validation": 1, "test": 2}
    assert card.lesion_ml == {"train": [1.0, 1.0, 1.0, 5.0, 9.0], "validation": [50.0] * 5}
    assert (card.slice_mm, card.pixel_mm, card.frame_interval_s) == ([5.0, 8.0], [0.8, 1.0], [1.0, 1.0])
    assert (card.makers, card.maps) == ({"": 2, "A": 1}, {"computed": 1, "given": 2})
    assert card.fingerprints == {"train": ["0" * 16, "1" * 16], "validation": ["2" * 16]}
    assert card.version == __version__
    assert (card_of(given, SPLIT, None, "unknown").patients, card.validation_dice) == (card.cases, None)


def test_the_kind_is_told_or_stated_and_never_guessed():
    phantom = replace(FACTS, kind="phantom")
    everyone, one = dict.fromkeys("abcd", phantom), facts(d=phantom)
    kinds = [card_of(given, SPLIT, None, "unknown").kind for given in (everyone, one, facts(), {})]
    assert kinds == ["phantom", "mixed", "unknown", "unknown"]
    assert card_of(facts(), SPLIT, None, "patients").kind == "patients"
    with pytest.raises(UsageError, match="d says that it is a phantom, and data_kind=patients"):
        card_of(one, SPLIT, None, "patients")
