import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.nifti_cases import only_case
from support.training import StopError, same, stop_in, tensors

from ctpdeploy.errors import GuardError, InputError, UsageError
from ctpdeploy.runtime import read_case
from ctpdeploy.train import OptimiserConfig, ProgressEvent, TrainConfig, open_run, train
from ctpdeploy.train.dataset import SliceDataset, read_labelled
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.run_folder import RunFolder
from ctpdeploy.train.systems import SYSTEMS
from ctpdeploy.train.validation import validate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory, config: TrainConfig) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train(data, out, config)
    return out


def test_run_folder_is_complete(finished: Path, config: TrainConfig) -> None:
    files = sorted(str(file.relative_to(finished)) for file in finished.rglob("*") if file.is_file())
    assert files.pop().startswith("tensorboard/events")
    networks = ["context_encoder", "extractor", "generator", "segmenter"]
    best = [f"checkpoints/best/{name}.safetensors" for name in networks] + ["checkpoints/best/state.json"]
    last = [f"checkpoints/last/{name}.safetensors" for name in [*networks, "optimiser"]]
    others = ["checkpoints/last/state.json", "config.json", "data.json", "metrics.jsonl", "split.json"]
    assert files == sorted([*best, *last, *others])
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert [line["learning_rate"] for line in lines] == [config.learning_rate(epoch) for epoch in (1, 2, 3, 4)]
    assert all(np.isfinite([x for x in line.values() if not isinstance(x, str)]).all() for line in lines)
    assert {line["learns"] for line in lines} == {"extractor + generator + segmenter"}


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


def test_stop_between_the_renames_of_a_checkpoint_is_survived(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    out = tmp_path / "run"
    with pytest.raises(StopError):
        train(data, out, config, on_progress=stop_in(2, "validation"))
    (out / "checkpoints/last").rename(out / "checkpoints/.last.old")
    train(data, out, config, resume=True)
    assert same(tensors(finished), tensors(out))


def test_resuming_a_finished_run_changes_nothing(data: Path, finished: Path, config: TrainConfig) -> None:
    before = tensors(finished)
    assert train(data, finished, config, resume=True).epochs == 4
    assert same(before, tensors(finished))


def test_other_configuration_other_cases_and_full_folders_are_refused(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    with pytest.raises(UsageError, match="not empty"):
        train(data, finished, config)
    with pytest.raises(UsageError, match="another configuration"):
        train(data, finished, replace(config, epochs=5), resume=True)
    fewer = tmp_path / "fewer"
    for number in (1, 2, 3):
        shutil.copytree(data / f"case_{number}", fewer / f"case_{number}")
    with pytest.raises(UsageError, match="other cases"):
        train(fewer, finished, config, resume=True)
    with pytest.raises(InputError, match="folder of a run"):
        train(data, tmp_path / "nothing", config, resume=True)


def test_changed_cases_are_not_resumed_on(data: Path, tmp_path: Path, finished: Path, config: TrainConfig) -> None:
    split = json.loads((finished / "split.json").read_text())
    changed = tmp_path / "changed"
    shutil.copytree(data, changed)
    one, other = (next((changed / name).glob("*CT_Tmax*")) for name in (split["train"][0], split["validation"][0]))
    one.write_bytes(other.read_bytes())
    with pytest.raises(UsageError, match="have changed"):
        train(changed, finished, config, resume=True)


def test_best_checkpoint_is_the_epoch_with_the_highest_dice(finished: Path) -> None:
    dice = [json.loads(line)["validation_dice"] for line in (finished / "metrics.jsonl").read_text().splitlines()]
    state = json.loads((finished / "checkpoints/best/state.json").read_text())
    assert state == {"epoch": int(np.argmax(dice)) + 1, "best_epoch": int(np.argmax(dice)) + 1, "best_score": max(dice)}


def test_open_run_predicts_as_it_was_validated(data: Path, finished: Path) -> None:
    split = json.loads((finished / "split.json").read_text())
    dice = []
    for name in split["validation"]:
        case = read_case(data / name)
        mask = open_run(finished).predict(case).mask
        dice.append(2 * (mask & case.lesion).sum() / (mask.sum() + case.lesion.sum()))
    state = json.loads((finished / "checkpoints/best/state.json").read_text())
    assert np.mean(dice) == pytest.approx(state["best_score"])


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
    assert stages == ["reading"] * 4 + ["training"] * 3 + ["validation"]
    assert [event.step for event in events if event.stage == "training"] == [1, 2, 3]
    assert events[-1].dice is not None


def test_loss_that_is_no_number_stops_with_epoch_and_step(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    wild = replace(config, optimiser=OptimiserConfig(learning_rate=1e30))
    with pytest.raises(GuardError, match=r"epoch 1, step \d"):
        train(data, tmp_path / "run", wild)


def test_frozen_context_encoder_stays_as_initialised(data: Path, config: TrainConfig) -> None:
    dataset = SliceDataset([read_labelled(only_case(data / "case_1"), config)])
    for phi_c, stays in (("frozen", True), ("joint", False)):
        learner = Learner(replace(config, phi_c=phi_c), CPU)
        before = [p.clone() for p in learner.networks["context_encoder"].parameters()]
        for batch in dataset.batches(2, seed=0, epoch=1):
            learner.step(batch)
        after = learner.networks["context_encoder"].parameters()
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) is stays


def test_tiny_chain_learns_two_slices_by_heart(data: Path, config: TrainConfig) -> None:
    case = read_labelled(only_case(data / "case_1"), config)
    dataset = SliceDataset([case])
    learner = Learner(config, CPU)
    for epoch in range(40):
        learner.begin_epoch(0.002)
        for batch in dataset.batches(2, seed=0, epoch=epoch):
            learner.step(batch)
    dice = validate(learner.chain, [case], SYSTEMS["dwi_olh"], ("segmenter",)).dice
    assert dice is not None
    assert dice > 0.8
