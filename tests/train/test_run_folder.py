"""A run on disk: what lies in it, what it refuses, and how it is opened."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.training import StopError, same, stop_in, tensors

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime import PerfusionConfig, read_case
from ctpdeploy.train import TrainConfig, open_run, train


def test_run_folder_is_complete(finished: Path) -> None:
    files = sorted(str(file.relative_to(finished)) for file in finished.rglob("*") if file.is_file())
    assert files.pop().startswith("tensorboard/events")
    networks = ["context_encoder", "extractor", "generator", "segmenter"]
    best = [f"checkpoints/best/{name}.safetensors" for name in networks] + ["checkpoints/best/state.json"]
    last = [f"checkpoints/last/{name}.safetensors" for name in [*networks, "optimiser"]]
    others = ["checkpoints/last/state.json", "config.json", "data.json", "metrics.jsonl", "split.json"]
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
    with pytest.raises(UsageError, match="another configuration"):
        train(data, finished, replace(config, epochs=5), resume=True)
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
    state = json.loads((finished / "checkpoints/best/state.json").read_text())
    assert np.mean(dice) == pytest.approx(state["best_score"])
