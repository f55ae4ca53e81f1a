"""The baselines: what they see, that they are tuned on training patients, and that what can be learnt is."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import baselines
import numpy as np
import pytest
from baselines import MAPS, Patient, dice, figures, inputs, maps, read, real_dwi, rule, scores, trees, tuned_rule

from ctpdeploy.runtime import find_cases
from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule


@pytest.fixture(scope="module")
def patients(phantom_folder: Path) -> list[Patient]:
    return [read(ref) for ref in find_cases(phantom_folder)]


def test_methods_see_what_networks_see_in_the_voxels_of_the_case(patients: list[Patient]):
    for patient in patients:
        shape = patient.lesion.shape
        assert inputs(patient).shape == (*shape, 11)
        assert maps(patient).shape == (*shape, MAPS)
        assert (
            np.corrcoef(patient.inputs[..., 3].ravel(), np.clip(patient.case.maps["tmax"], 0, 20).ravel())[0, 1] > 0.999
        )
        assert np.median(patient.dwi[patient.brain]) == pytest.approx(0.0, abs=0.05)
        assert patient.dwi[patient.lesion & patient.brain].mean() > 2
        assert real_dwi(patient).shape == (*shape, 3)


def test_the_tuned_rule_is_the_best_of_its_grid(patients: list[Patient], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(baselines, "TMAX_S", (4.0, 6.0, 9.0))
    monkeypatch.setattr(baselines, "RCBF", (0.3, 0.6, 1.0))
    best = tuned_rule(patients)
    means = {
        (tmax, rcbf): np.mean([dice(threshold_rule(p.case, tmax, rcbf), p) for p in patients])
        for tmax in baselines.TMAX_S
        for rcbf in baselines.RCBF
    }
    assert means[best] == max(means.values())
    assert len(set(means.values())) > 3
    mask, probability = rule(*best)(patients[0])
    assert probability is None
    assert dice(mask, patients[0]) == dice(threshold_rule(patients[0].case, *best), patients[0])


def test_trees_learn_what_is_there_and_nothing_else(patients: list[Patient]):
    seen, unseen = patients[:2], patients[2:]
    oracle = scores(trees(real_dwi, seen, seen, 0), unseen)
    blind = [replace(patient, dwi=np.zeros_like(patient.dwi)) for patient in patients]
    nothing = scores(trees(real_dwi, blind[:2], blind[:2], 0), blind[2:])
    assert np.mean(oracle["cases"]["ap"]) > 0.5 > 0.3 > np.mean(nothing["cases"]["ap"])
    assert oracle["dice_at_its_best"] >= np.mean(oracle["cases"]["dice"])


def test_the_truth_of_the_unseen_reaches_no_method(patients: list[Patient]):
    predict = trees(maps, patients[:2], patients[:2], 0)
    one = patients[3]
    hidden = replace(one, case=replace(one.case, lesion=np.zeros_like(one.lesion)))
    assert np.array_equal(predict(one)[0], predict(hidden)[0])


def test_figures_are_of_the_scores(patients: list[Patient]):
    found = scores(lambda patient: (patient.lesion, patient.lesion.astype(np.float32)), patients)
    volumes = np.array([5.0, 20.0, 8.0, 30.0])
    perfect = figures(found, volumes)
    assert (perfect["dice"], perfect["ap"], perfect["abs_dv_ml"], perfect["median_rve"]) == (1.0, 1.0, 0.0, 0.0)
    assert (perfect["dice_small"], perfect["sensitivity"], perfect["ece"]) == (1.0, 1.0, 0.0)
    found["cases"]["dice"] = [0.1, 0.2, 0.3, 0.4]
    assert figures(found, volumes)["dice_small"] == pytest.approx(0.2)
    without = figures(scores(rule(6.0, 0.3), patients), np.full(4, 20.0))
    assert np.isnan([without["ap"], without["dice_small"], without["ece"]]).all()


def test_the_script_ends_in_json(phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):  # noqa: ANN001
    monkeypatch.setattr(baselines, "TMAX_S", (6.0, 9.0))
    monkeypatch.setattr(baselines, "RCBF", (0.3, 1.0))
    file = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["baselines", str(phantom_folder), str(phantom_folder), "--json", str(file)])
    baselines.main()
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert json.loads(file.read_text()) == result
    assert next(iter(result["methods"])) == "rule, as published"
    assert result["methods"]["rule, as published"]["ap"] is None
    assert len(result["methods"]) == 6
    assert max(len(line) for line in lines[:-1]) < 150
