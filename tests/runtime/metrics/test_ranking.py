"""Ranks per case and score: by hand, by counting, ties and what is undefined."""

import math

import numpy as np
import pytest

from ctpdeploy.runtime.metrics.ranking import LARGER_IS_BETTER, mean_ranks


def of(dice: list[float], hd: list[float], volume: list[float]) -> dict[str, np.ndarray]:
    return {"dice": np.array(dice), "hd_mm": np.array(hd), "abs_dv_ml": np.array(volume)}


def test_by_hand():
    found = mean_ranks(
        {
            "a": of([0.9, 0.1], [5.0, 9.0], [1.0, 8.0]),  # 1 1 1, 3 2 2
            "b": of([0.8, 0.5], [7.0, 3.0], [2.0, 1.0]),  # 2 2 2, 1 1 1
            "c": of([0.1, 0.4], [9.0, math.nan], [9.0, 9.0]),  # 3 3 3, 2 3 3
        }
    )
    assert found == pytest.approx({"a": 10 / 6, "b": 9 / 6, "c": 17 / 6})


def test_ties_share_and_what_is_undefined_shares_the_worst():
    found = mean_ranks(
        {
            "a": of([0.5], [math.nan], [2.0]),
            "b": of([0.5], [math.nan], [2.0]),
            "c": of([0.5], [100.0], [1.0]),
        }
    )
    assert found == pytest.approx({"a": (2 + 2.5 + 2.5) / 3, "b": (2 + 2.5 + 2.5) / 3, "c": (2 + 1 + 1) / 3})


def test_ranks_by_counting_who_is_better():
    rng = np.random.default_rng(1)
    scores = {name: of(*rng.integers(0, 4, (3, 30)).astype(float).tolist()) for name in "abcde"}
    found = mean_ranks(scores)
    for name, own in scores.items():
        ranks = []
        for score, larger in LARGER_IS_BETTER.items():
            for case, value in enumerate(own[score]):
                others = np.array([other[score][case] for other in scores.values()])
                better = (others > value) if larger else (others < value)
                ranks.append(better.sum() + ((others == value).sum() + 1) / 2)
        assert found[name] == pytest.approx(np.mean(ranks))
    assert np.mean(list(found.values())) == pytest.approx(3.0), "ranks are given away whole"


def test_one_system_is_first_and_other_numbers_of_cases_are_refused():
    assert mean_ranks({"a": of([0.5], [1.0], [1.0])}) == {"a": 1.0}
    with pytest.raises(ValueError, match="same cases"):
        mean_ranks({"a": of([0.5], [1.0], [1.0]), "b": of([0.5, 0.6], [1.0, 1.0], [1.0, 1.0])})
    with pytest.raises(ValueError, match="same cases"):
        mean_ranks({"a": of([], [], [])})
