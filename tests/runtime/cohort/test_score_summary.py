"""Scores of many cases: gaps are counted, groups are by size, both methods stand side by side."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from support.scores import IMAGE, MASK, scored

from ctpdeploy.runtime.cohort.case_score import GROUPS
from ctpdeploy.runtime.cohort.score_summary import summarise
from ctpdeploy.runtime.metrics.detection import Pieces, detection
from ctpdeploy.runtime.metrics.reliability import Reliability
from ctpdeploy.runtime.metrics.volume_bias import volume_bias

NAMES = (*MASK, "ap", *IMAGE)


def test_means_and_standard_deviations_leave_gaps_out_and_count_them():
    scores = [
        scored("a", dice=0.2, hd_mm=10.0, rve=math.nan),
        scored("b", dice=0.4, hd_mm=math.nan, rve=math.nan),
        scored("c", dice=0.9, hd_mm=13.0, rve=math.nan),
    ]
    summary = summarise(scores)
    assert summary["cases"] == 3
    deviation = math.sqrt(((0.5 - 0.2) ** 2 + (0.5 - 0.4) ** 2 + (0.5 - 0.9) ** 2) / 3)
    assert summary["networks"]["dice"] == pytest.approx(
        {"mean": 0.5, "std": deviation, "median": 0.4, "n": 3, "undefined": 0}
    )
    assert summary["networks"]["hd_mm"] == pytest.approx(
        {"mean": 11.5, "std": 1.5, "median": 11.5, "n": 2, "undefined": 1}
    )
    assert summary["networks"]["rve"] == {"mean": None, "std": None, "median": None, "n": 0, "undefined": 3}
    assert summary["threshold_rule"]["dice"] == {"mean": 0.25, "std": 0.0, "median": 0.25, "n": 3, "undefined": 0}
    assert set(summary["networks"]) == set(NAMES)
    assert set(summary["threshold_rule"]) == set(MASK)
    json.dumps(summary, allow_nan=False)


def test_groups_are_summaries_of_their_own_cases():
    scores = [scored("a", 3.0, dice=0.1), scored("b", 4.0, dice=0.3), scored("c", 60.0, dice=0.9, rve=math.nan)]
    groups = summarise(scores)["groups"]
    assert tuple(groups) == GROUPS
    assert [groups[name]["cases"] for name in GROUPS] == [2, 0, 1]
    assert groups["small"]["networks"]["dice"] == pytest.approx(
        {"mean": 0.2, "std": 0.1, "median": 0.2, "n": 2, "undefined": 0}
    )
    assert groups["medium"]["networks"]["dice"]["mean"] is None
    assert groups["large"]["networks"]["rve"] == {"mean": None, "std": None, "median": None, "n": 0, "undefined": 1}
    assert groups["large"]["threshold_rule"]["dice"]["mean"] == 0.25


def test_what_a_clinician_reads_is_that_of_its_module():
    scores = [scored("a", 3.0, dv_ml=-2.0), scored("b", 4.0, dv_ml=6.0), scored("c", 60.0, dv_ml=math.nan)]
    pieces = [
        Pieces(true_ml=(3.0,), found=(True,)),
        Pieces(true_ml=(4.0,), found=(False,)),
        Pieces(drawn_ml=(1.0,), false=(True,)),
    ]
    scores = [
        replace(score, pieces={"networks": of, "threshold_rule": of}) for score, of in zip(scores, pieces, strict=True)
    ]
    summary = summarise(scores)
    assert summary["volumes"]["networks"] == vars(volume_bias([-2.0, 6.0]))
    assert summary["volumes"]["threshold_rule"]["bias_ml"] == 0.25
    assert summary["detection"]["networks"] == detection(pieces)
    assert summary["detection"]["networks"]["sensitivity"] == 0.5
    json.dumps(summary, allow_nan=False)


def test_methods_are_ranked_among_each_other():
    better = scored("a", dice=0.9, hd_mm=0.1, abs_dv_ml=0.1)  # the rule: 0.25 of each
    torn = scored("b", dice=0.9, hd_mm=math.nan, abs_dv_ml=0.25)
    assert summarise([better])["mean_rank"] == {"networks": 1.0, "threshold_rule": 2.0}
    assert summarise([torn])["mean_rank"] == pytest.approx({"networks": (1 + 2 + 1.5) / 3, "threshold_rule": 1.5})
    assert summarise([])["mean_rank"] is None


def test_calibration_is_of_all_voxels_together_or_not_at_all():
    rng = np.random.default_rng(0)
    kept = [Reliability.of(rng.random(500), rng.random(500) < 0.3, np.ones(500, bool)) for _ in range(2)]
    scores = [replace(scored(name), reliability=of) for name, of in zip("ab", kept, strict=True)]
    both, found = kept[0] + kept[1], summarise(scores)["calibration"]
    assert found["expected_calibration_error"] == both.expected_calibration_error()
    assert found["average_precision"] == both.average_precision()
    assert [row["voxels"] for row in found["table"]] == [row.voxels for row in both.table()]
    assert summarise([*scores, scored("c")])["calibration"] is None
    nothing = summarise([replace(scored("a"), reliability=Reliability.nothing())])
    assert nothing["calibration"]["expected_calibration_error"] is None
    assert nothing["calibration"]["table"][0]["lesion"] is None
    json.dumps(nothing, allow_nan=False)


def test_scores_of_an_earlier_version_are_summarised_without_what_they_lack():
    old = scored("a")
    old = replace(old, networks={name: value for name, value in old.networks.items() if name not in ("ap", "dv_ml")})
    summary = summarise([old])
    assert summary["networks"]["ap"] == {"mean": None, "std": None, "median": None, "n": 0, "undefined": 1}
    assert summary["volumes"]["networks"] == {"bias_ml": None, "lower_ml": None, "upper_ml": None, "n": 0}
    assert summary["detection"] == {}
