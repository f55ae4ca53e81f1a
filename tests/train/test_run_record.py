"""What export reads of a run beside its networks."""

import json
from pathlib import Path

import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.train.run_record import RunRecord


def write(run: Path, name: str, **content: object) -> None:
    file = run / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def test_the_calibration_counts_where_there_is_one(tmp_path: Path):
    assert RunRecord.of(tmp_path) == RunRecord(card=ModelCard(), threshold=0.5)
    write(tmp_path, "card.json", kind="phantom")
    write(tmp_path, "checkpoints/best/state.json", epoch=3, best_epoch=3, best_score=0.4)
    found = RunRecord.of(tmp_path)
    assert (found.card, found.threshold) == (ModelCard(kind="phantom", validation_dice=0.4), 0.5)
    write(tmp_path, "checkpoints/best/calibration.json", threshold=0.3, dice=0.6, cases=6)
    found = RunRecord.of(tmp_path)
    assert (found.card.validation_dice, found.card.threshold_from, found.threshold) == (0.6, 6, 0.3)
    assert RunRecord.of(tmp_path, "last").card.validation_dice is None


def test_a_loss_is_no_dice(tmp_path: Path):
    write(tmp_path, "checkpoints/last/state.json", epoch=3, best_epoch=3, best_score=-0.4)
    assert RunRecord.of(tmp_path, "last").card.poor


def test_a_damaged_record_is_refused(tmp_path: Path):
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(InputError, match=r"card\.json cannot be read"):
        RunRecord.of(tmp_path)
