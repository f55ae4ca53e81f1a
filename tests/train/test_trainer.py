import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.training import StopError, same, stop_in, tensors

from ctpdeploy.errors import GuardError
from ctpdeploy.train import OptimiserConfig, ProgressEvent, TrainConfig, train
from ctpdeploy.train.run_folder import RunFolder


@pytest.mark.parametrize(("epoch", "stage"), [(2, "validation"), (3, "training"), (1, "training")])
def test_stopped_and_resumed_run_ends_with_the_same_tensors(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig, epoch: int, stage: str
) -> None:
    out = tmp_path / "run"
    with pytest.raises(StopError):
        train(data, out, config, on_progress=stop_in(epoch, stage))
    summary = train(data, out, config, resume=True)
    assert same(tensors(finished), tensors(out))
    assert (summary.epochs, len((out / "metrics.jsonl").read_text().splitlines())) == (4, 4)


def test_resuming_a_finished_run_changes_nothing(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    own = Path(shutil.copytree(finished, tmp_path / "run"))
    assert train(data, own, config, resume=True).epochs == 4
    assert same(tensors(finished), tensors(own))


def test_best_checkpoint_is_the_epoch_with_the_highest_dice(finished: Path) -> None:
    dice = [json.loads(line)["validation_dice"] for line in (finished / "metrics.jsonl").read_text().splitlines()]
    state = json.loads((finished / "checkpoints/best/state.json").read_text())
    assert state == {"epoch": int(np.argmax(dice)) + 1, "best_epoch": int(np.argmax(dice)) + 1, "best_score": max(dice)}


def test_the_last_epoch_is_kept_where_the_run_says_so(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    out = tmp_path / "run"
    summary = train(data, out, replace(config, epochs=3, keep="last", optimiser=OptimiserConfig(learning_rate=1e-9)))
    assert summary.best_epoch == 3  # though no epoch is better than the first
    kept, last = (tensors(out / "checkpoints" / name) for name in ("best", "last"))
    assert kept.keys() <= last.keys()
    assert all((kept[name] == last[name]).all() for name in kept)


def test_patients_stay_on_one_side(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    table = tmp_path / "patients.csv"
    table.write_text("case,patient\ncase_1,a\ncase_2,a\ncase_3,b\ncase_4,b\n", encoding="utf-8")
    summary = train(data, tmp_path / "run", replace(config, epochs=1), patients=table)
    split = json.loads((tmp_path / "run/split.json").read_text())
    assert sorted(split["train"]) in (["case_1", "case_2"], ["case_3", "case_4"])
    assert summary.warnings == ()
    assert RunFolder(tmp_path / "run").split() == summary.split


def test_progress_tells_every_step(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    events: list[ProgressEvent] = []
    train(data, tmp_path / "run", replace(config, epochs=1), on_progress=events.append)
    stages = [event.stage for event in events]
    assert stages == ["finding"] + ["reading"] * 4 + ["training"] * 3 + ["validation"]
    assert [event.step for event in events if event.stage == "training"] == [1, 2, 3]
    assert events[-1].dice is not None


def test_loss_that_is_no_number_stops_with_epoch_and_step(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    wild = replace(config, optimiser=OptimiserConfig(learning_rate=1e30))
    with pytest.raises(GuardError, match=r"epoch 1, step \d"):
        train(data, tmp_path / "run", wild)
