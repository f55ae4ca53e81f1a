"""Folds: every patient tested once, strata in each of them, nobody on two sides."""

from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.train.reproduction.folds import FOLDS, fold_splits, read_folds, stratified_folds, write_folds

VOLUMES = {f"case_{number}": float(volume) for number, volume in enumerate(np.random.default_rng(0).gamma(1, 25, 94))}
PATIENTS = {case: f"p{number // 2}" for number, case in enumerate(VOLUMES)}  # two scans each


def test_every_fold_has_its_share_of_every_size():
    folds = stratified_folds(VOLUMES, 5, seed=0)
    assert sorted(name for fold in folds for name in fold) == sorted(VOLUMES)
    assert {len(fold) for fold in folds} <= {18, 19}
    small = sorted(VOLUMES, key=VOLUMES.__getitem__)[:30]
    assert [sum(name in small for name in fold) for fold in folds] == [6] * 5
    assert stratified_folds(VOLUMES, 5, seed=0) == folds
    assert stratified_folds(VOLUMES, 5, seed=1) != folds
    assert stratified_folds(dict(reversed(VOLUMES.items())), 5, seed=0) == folds, "the order of cases does not matter"


def test_every_patient_is_tested_once_and_is_on_one_side():
    splits = fold_splits(VOLUMES, PATIENTS, folds=5, share=0.1, seed=0)
    assert sorted(case for split in splits for case in split.test) == sorted(VOLUMES)
    for split in splits:
        parts = [{PATIENTS[case] for case in part} for part in (split.train, split.validation, split.test)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == 47
        assert sorted([*split.train, *split.validation, *split.test]) == sorted(VOLUMES)
        assert 3 <= len(parts[1]) <= 4, "a tenth of the patients outside the fold"
        assert split.warnings == ()


def test_those_that_validate_have_small_and_large_lesions():
    for split in fold_splits(VOLUMES, None, folds=5, share=0.15, seed=3):
        volumes = [VOLUMES[case] for case in split.validation]
        assert min(volumes) < 10 < 50 < max(volumes)
        assert "patient of its own" in split.warnings[0]


def test_what_cannot_be_folded_is_refused():
    few = {"a": 1.0, "b": 2.0, "c": 3.0}
    for folds in (1, 4):
        with pytest.raises(UsageError, match=f"cannot be put into {folds} folds"):
            stratified_folds(few, folds, seed=0)
    with pytest.raises(InputError, match="no row for c"):
        fold_splits(few, {"a": "p", "b": "q"}, folds=2, share=0.1, seed=0)
    splits = fold_splits(few, None, folds=3, share=0.1, seed=0)
    assert [(len(split.train), len(split.validation), len(split.test)) for split in splits] == [(1, 1, 1)] * 3
    with pytest.raises(UsageError, match="1 patients cannot be put"):
        fold_splits({"a": 1.0, "b": 2.0}, None, folds=2, share=0.1, seed=0)


def test_folds_are_kept(tmp_path: Path):
    splits = fold_splits(VOLUMES, PATIENTS, folds=3, share=0.1, seed=0)
    assert read_folds(tmp_path) == ()
    write_folds(tmp_path, splits)
    assert read_folds(tmp_path) == splits
    (tmp_path / FOLDS).write_text('[{"trained": []}]')
    with pytest.raises(InputError, match="cannot be read"):
        read_folds(tmp_path)
