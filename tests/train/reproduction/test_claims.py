"""Claims of the source, judged from the scores in a reproduction."""

from pathlib import Path

import numpy as np
import pytest
from support.scores import scored

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.evaluation import SCORES, SUMMARY, as_json
from ctpdeploy.train.reproduction.claims import JudgedClaim, judged_claims
from ctpdeploy.train.reproduction.folds import write_folds
from ctpdeploy.train.reproduction.paired_difference import holm
from ctpdeploy.train.split import Split

CASES = [f"case_{number}" for number in range(30)]


def write(reproduction: Path, system: str, dice: np.ndarray, place: str = "", cases: list[str] = CASES) -> None:
    """Runs of a system with this Dice, ``(seeds, cases)``; AP is the same, and |dV| falls with it."""
    for seed, row in enumerate(dice):
        folder = reproduction / system / f"seed-{seed}" / place / "evaluation"
        folder.mkdir(parents=True)
        scores = [
            scored(case, dice=float(value), ap=float(value), abs_dv_ml=100 * (1 - float(value)))
            for case, value in zip(cases, row, strict=True)
        ]
        (folder / SCORES).write_text(as_json(scores))
        (folder / SUMMARY).write_text("{}")


@pytest.fixture
def dice() -> np.ndarray:
    rng = np.random.default_rng(0)
    return 0.5 + rng.normal(0, 0.1, 30) + rng.normal(0, 0.02, (3, 30))


def by_rows(claims: tuple[JudgedClaim, ...]) -> dict[tuple[str, str], JudgedClaim]:
    return {(claim.row, claim.other): claim for claim in claims}


def test_claims_hold_fail_or_lie_within_noise(tmp_path: Path, dice: np.ndarray):
    noise = np.random.default_rng(1).normal(0, 0.05, (3, 30))
    write(tmp_path, "dwi_olh", dice)
    write(tmp_path, "real_dwi", dice + 0.2 + noise)
    write(tmp_path, "dwi_ol", dice + 0.1 + noise)
    write(tmp_path, "wce_hgd", dice + noise - noise.mean())  # F_o
    found = by_rows(judged_claims(tmp_path))
    assert set(found) == {("real_dwi", "dwi_olh"), ("dwi_olh", "Fo"), ("dwi_olh", "dwi_ol")}
    assert found["real_dwi", "dwi_olh"].verdict == "holds"
    assert found["real_dwi", "dwi_olh"].published == pytest.approx(17.61)
    assert found["real_dwi", "dwi_olh"].measured.mean == pytest.approx((0.2 + noise).mean())
    assert found["dwi_olh", "dwi_ol"].verdict == "fails"
    assert not any(claim.derived for claim in found.values())
    assert found["dwi_olh", "Fo"].verdict == "within noise"
    claims = tuple(found.values())
    assert tuple(claim.holm_p for claim in claims) == holm([claim.measured.p for claim in claims])
    assert tuple(claim.holm_wilcoxon_p for claim in claims) == holm([claim.measured.wilcoxon_p for claim in claims])


def test_a_pair_that_nobody_published_is_better_or_worse(tmp_path: Path, dice: np.ndarray):
    write(tmp_path, "dwi_olh", dice)
    write(tmp_path, "features_frames", dice + 0.1)
    write(tmp_path, "wce_hgd", dice - 0.1)
    found = by_rows(judged_claims(tmp_path))
    assert found["dwi_olh", "features_frames"].verdict == "worse"
    assert found["features_frames", "Fo"].verdict == "better"
    assert found["features_frames", "Fo"].published is None


def test_less_is_better_of_volumes(tmp_path: Path, dice: np.ndarray):
    write(tmp_path, "dwi_olh", dice)
    write(tmp_path, "real_dwi", dice + 0.2)
    for score, sign in (("ap", 1), ("abs_dv_ml", -1)):
        (claim,) = judged_claims(tmp_path, score=score)
        assert claim.verdict == "holds"
        assert np.sign(claim.measured.mean) == sign


def test_claims_of_the_leaderboard_are_published_in_points(tmp_path: Path, dice: np.ndarray):
    write(tmp_path, "dwi_olh", dice)
    write(tmp_path, "liu", dice - 0.1)
    write(tmp_path, "chen", dice + 0.1)
    found = by_rows(judged_claims(tmp_path))
    assert {rows: claim.published for rows, claim in found.items()} == {
        ("ours", "liu"): pytest.approx(2.0),
        ("ours", "chen"): pytest.approx(3.0),
    }
    assert [(claim.verdict, claim.derived) for claim in found.values()] == [("holds", True), ("fails", True)]


def test_only_common_seeds_and_defined_cases_count(tmp_path: Path, dice: np.ndarray):
    other = dice.copy()
    other[0, 3] = np.nan
    write(tmp_path, "dwi_olh", dice[:2])
    write(tmp_path, "real_dwi", other + 0.1)
    (claim,) = judged_claims(tmp_path)
    assert len(claim.measured.by_seed) == 2
    assert claim.measured.patients == 29


def test_scans_of_a_patient_belong_together(tmp_path: Path, dice: np.ndarray):
    write(tmp_path, "dwi_olh", dice)
    write(tmp_path, "real_dwi", dice + 0.1)
    patients = {case: f"p{number // 3}" for number, case in enumerate(CASES)}
    assert judged_claims(tmp_path, patients=patients)[0].measured.patients == 10


def test_folds_are_judged_together(tmp_path: Path, dice: np.ndarray):
    write_folds(tmp_path, [Split(train=("a",), validation=("b",))] * 2)
    for system, values in (("dwi_olh", dice), ("real_dwi", dice + 0.1)):
        for fold, part in enumerate((slice(0, 12), slice(12, 30)), start=1):
            write(tmp_path, system, values[:, part], f"fold-{fold}", CASES[part])
    assert judged_claims(tmp_path)[0].measured.patients == 30


def test_what_cannot_be_compared_is_refused(tmp_path: Path, dice: np.ndarray):
    assert judged_claims(tmp_path) == ()
    write(tmp_path, "dwi_olh", dice)
    assert judged_claims(tmp_path) == ()
    write(tmp_path, "real_dwi", dice[:, ::-1], cases=CASES[::-1])
    with pytest.raises(InputError, match="same cases in the same order"):
        judged_claims(tmp_path)
