import json
from pathlib import Path

import numpy as np
import pytest
from paired_tests import compare, holm, judge


def reproduction(folder: Path, differences: dict[str, np.ndarray]) -> Path:
    """Scores of rows by system; ``differences`` from a common Dice, ``(seeds, cases)``."""
    common = np.random.default_rng(0).uniform(0.2, 0.8, next(iter(differences.values())).shape[1])
    for system, found in differences.items():
        for seed, values in enumerate(found):
            file = folder / system / f"seed-{seed}" / "evaluation" / "scores.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps([{"networks": {"dice": float(value)}} for value in common + values]))
    return folder


def test_holm_is_that_of_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]


@pytest.mark.parametrize(
    ("gain", "verdict"), [(0.05, "holds"), (-0.05, "fails"), (0.0, "within noise")], ids=["better", "worse", "equal"]
)
def test_a_claim_is_judged_by_cases_and_seeds(tmp_path: Path, gain: float, verdict: str):
    noise = np.random.default_rng(1).normal(0.0, 0.1, (4, 240))
    folder = reproduction(tmp_path, {"dwi_olh": noise + gain - noise.mean(), "wce_hgd": np.zeros_like(noise)})
    line = compare(folder, 5, "dwi_olh", "Fo")
    assert line is not None
    judge([line])
    assert line["measured"] == pytest.approx(100 * gain, abs=0.01)
    assert line["published"] == pytest.approx(2.74)
    assert line["verdict"] == verdict
    assert (line["p_wilcoxon_holm"] < 0.01) == (gain != 0)


def test_seeds_that_disagree_are_noise_however_many_the_cases(tmp_path: Path):
    """Each seed moves all cases alike: the cases alone would call that certain."""
    moved = np.repeat([[0.06], [-0.04], [0.03]], 400, axis=1) + np.random.default_rng(2).normal(0, 0.02, (3, 400))
    folder = reproduction(tmp_path, {"dwi_olh": moved, "features_frames": np.zeros_like(moved)})
    line = compare(folder, 5, "dwi_olh", "features_frames")
    assert line is not None
    judge([line])
    assert line["published"] is None
    assert line["p_wilcoxon"] < 1e-6
    assert line["verdict"] == "within noise"


def test_a_row_that_was_not_trained_is_left_out(tmp_path: Path):
    assert compare(tmp_path, 5, "dwi_olh", "Fo") is None
