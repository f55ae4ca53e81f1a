"""A run on disk: what lies in it, what it refuses, and how it is opened."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.training import StopError, same, stop_in, tensors

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime import PerfusionConfig, read_case
from ctpdeploy.train import OptimiserConfig, ProgressEvent, TrainConfig, open_run, train
from ctpdeploy.train.pace import learning_rate
from ctpdeploy.train.run_folder import RunFolder


def test_run_folder_is_complete(finished: Path) -> None:
    files = sorted(str(file.relative_to(finished)) for file in finished.rglob("*") if file.is_file())
    assert files.pop().startswith("tensorboard/events")
    networks = ["context_encoder", "extractor", "generator", "segmenter"]
    best = [f"checkpoints/best/{name}.safetensors" for name in networks] + ["checkpoints/best/state.json"]
    best.append("checkpoints/best/calibration.json")
    last = [f"checkpoints/last/{name}.safetensors" for name in [*networks, "optimiser"]]
    others = ["card.json", "checkpoints/last/state.json", "config.json", "data.json", "metrics.jsonl", "split.json"]
    assert files == sorted([*best, *last, *others])
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.002, 0.002, 0.0004, 0.0004])
    assert all(np.isfinite([x for x in line.values() if not isinstance(x, str)]).all() for line in lines)
    assert {line["learns"] for line in lines} == {"extractor + generator + segmenter"}


def test_stop_between_the_renames_of_a_checkpoint_is_survived(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    out = tmp_path / "run"
    with pytest.raises(StopError):
        train(data, out, config, on_progress=stop_in(2, "validation"))
    (out / "checkpoints/.last.00000000.partial").mkdir()
    (out / "checkpoints/.last.00000000.partial/lock").touch()
    (out / "checkpoints/last").rename(out / "checkpoints/.last.00000000.partial/old")
    train(data, out, config, resume=True)
    assert same(tensors(finished), tensors(out))


def test_other_configuration_other_cases_and_full_folders_are_refused(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    with pytest.raises(UsageError, match="not empty"):
        train(data, finished, config)
    other = replace(config, width=8, loss=replace(config.loss, alpha=0.5))
    with pytest.raises(
        UsageError, match=r"another configuration \(width was 4 and is 8, loss.alpha was 1.0 and is 0.5\)"
    ):
        train(data, finished, other, resume=True)
    with pytest.raises(UsageError, match="has 4 epochs, which can only be raised, not to 3"):
        train(data, finished, replace(config, epochs=3), resume=True)
    fewer = tmp_path / "fewer"
    for number in (1, 2, 3):
        shutil.copytree(data / f"case_{number}", fewer / f"case_{number}")
    with pytest.raises(UsageError, match="other cases"):
        train(fewer, finished, config, resume=True)
    with pytest.raises(InputError, match="folder of a run"):
        train(data, tmp_path / "nothing", config, resume=True)


def test_runs_from_before_a_setting_was_there_are_resumed(
    data: Path, tmp_path: Path, finished: Path, config: TrainConfig
) -> None:
    own = Path(shutil.copytree(finished, tmp_path / "run"))
    written = json.loads((own / "config.json").read_text())
    assert written.pop("perfusion")["method"] == "tsvd"
    (own / "config.json").write_text(json.dumps(written))
    assert train(data, own, config, resume=True).epochs == 4
    with pytest.raises(UsageError, match="another configuration"):
        train(data, own, replace(config, perfusion=PerfusionConfig(tmax="onset")), resume=True)


def test_changed_cases_are_not_resumed_on(data: Path, tmp_path: Path, finished: Path, config: TrainConfig) -> None:
    split = json.loads((finished / "split.json").read_text())
    changed = tmp_path / "changed"
    shutil.copytree(data, changed)
    one, other = (next((changed / name).glob("*CT_Tmax*")) for name in (split["train"][0], split["validation"][0]))
    one.write_bytes(other.read_bytes())
    with pytest.raises(UsageError, match="have changed"):
        train(changed, finished, config, resume=True)


def test_open_run_predicts_as_it_was_validated(data: Path, finished: Path) -> None:
    split = json.loads((finished / "split.json").read_text())
    dice = []
    for name in split["validation"]:
        case = read_case(data / name)
        mask = open_run(finished).predict(case).mask
        dice.append(2 * (mask & case.lesion).sum() / (mask.sum() + case.lesion.sum()))
    found = json.loads((finished / "checkpoints/best/calibration.json").read_text())
    assert np.mean(dice) == pytest.approx(found["dice"])
    assert open_run(finished).config.threshold == found["threshold"]
    state = json.loads((finished / "checkpoints/best/state.json").read_text())
    assert found["uncalibrated_dice"] == pytest.approx(state["best_score"])


def test_a_run_gets_more_epochs_at_the_pace_of_its_new_length(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    recipe = replace(config, epochs=2, optimiser=OptimiserConfig(schedule="one_cycle", warm_up=0.1))
    own = tmp_path / "run"
    train(data, own, recipe)
    before, events = tensors(own / "checkpoints/best"), list[ProgressEvent]()
    summary = train(data, own, replace(recipe, epochs=4), resume=True, on_progress=events.append)
    assert summary.epochs == 4
    assert RunFolder(own).config() == replace(recipe, epochs=4)
    rates = [line["learning_rate"] for line in RunFolder(own).metrics()]
    steps = len([event for event in events if event.stage == "training"]) // 2
    assert rates[2:] == [learning_rate(recipe.optimiser, epoch * steps - 1, 4 * steps) for epoch in (3, 4)]
    assert rates[2] > rates[1], "the cosine of two epochs was at its end"
    (said,) = (text for text in events[0].warnings if "epochs now" in text)
    assert re.search(r"has 4 epochs now and not 2: after 2 of them its learning rate goes on from 0\.00\d+", said)
    assert same(before, tensors(own / "checkpoints/best")) == (RunFolder(own).state().best_epoch <= 2)
    assert train(data, own, replace(recipe, epochs=4), resume=True).epochs == 4, "it is the configuration now"


def test_a_lengthened_run_that_is_stopped_is_the_longer_one(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    """Its first epochs are those of the shorter one; from then on nothing tells that it was stopped."""
    for name in ("straight", "stopped"):
        train(data, tmp_path / name, replace(config, epochs=1))
    longer = replace(config, epochs=3)
    train(data, tmp_path / "straight", longer, resume=True)
    with pytest.raises(StopError):
        train(data, tmp_path / "stopped", longer, on_progress=stop_in(3, "training"), resume=True)
    train(data, tmp_path / "stopped", longer, resume=True)
    assert same(*(tensors(tmp_path / name) for name in ("straight", "stopped")))


def test_a_run_of_stages_of_which_one_is_over_is_not_lengthened(
    data: Path, tmp_path: Path, config: TrainConfig
) -> None:
    staged = replace(config, system="dwi_olh_s", epochs=1)
    train(data, tmp_path / "run", staged)
    with pytest.raises(UsageError, match="in 3 stages of 1 epochs each, and only the last one could be longer"):
        train(data, tmp_path / "run", replace(staged, epochs=2), resume=True)
    assert RunFolder(tmp_path / "run").config() == staged


def test_a_run_from_before_there_was_a_card_gets_one(data: Path, tmp_path: Path, finished: Path, config: TrainConfig):
    own = Path(shutil.copytree(finished, tmp_path / "run"))
    (own / "card.json").unlink()
    (own / "checkpoints/best/calibration.json").unlink()
    train(data, own, config, resume=True)
    for name in ("card.json", "checkpoints/best/calibration.json"):
        assert (own / name).read_bytes() == (finished / name).read_bytes()
