"""Systems that are trained one part after another, and runs that were killed."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training import StopError, same, stop_in, tensors

from ctpdeploy.train import TrainConfig, train

STAGED = "dwi_olh_s"


def checkpoint(run: Path, name: str) -> dict[str, torch.Tensor]:
    return tensors(run / "checkpoints" / name)


def part(whole: dict[str, torch.Tensor], network: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in whole.items() if key.startswith(f"{network}.")}


@pytest.fixture(scope="module")
def staged(config: TrainConfig) -> TrainConfig:
    return replace(config, system=STAGED, epochs=2)


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory, staged: TrainConfig) -> Path:
    out = tmp_path_factory.mktemp("staged") / "run"
    train(data, out, staged)
    return out


def test_stages_learn_one_after_another(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["learns"] for line in lines] == 2 * ["extractor"] + 2 * ["generator"] + 2 * ["segmenter"]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(("validation_dice" in line) == (line["learns"] == "segmenter") for line in lines)
    rates = [line["learning_rate"] for line in lines]
    assert rates == rates[:2] * 3, "each stage begins at the full rate"


def test_what_has_learned_stays_to_the_last_bit(finished: Path) -> None:
    """Weights and running statistics alike; a frozen network in training mode would go on changing the latter."""
    first, second, best = (checkpoint(finished, name) for name in ("stage-1", "stage-2", "best"))
    assert same(part(first, "extractor"), part(best, "extractor"))
    assert same(part(second, "generator"), part(best, "generator"))
    assert not same(part(first, "generator"), part(best, "generator"))
    assert not same(part(second, "segmenter"), part(best, "segmenter"))


def test_a_stage_begins_from_the_best_of_the_one_before(finished: Path) -> None:
    losses = [json.loads(line)["validation_loss"] for line in (finished / "metrics.jsonl").read_text().splitlines()[:2]]
    state = json.loads((finished / "checkpoints/stage-1/state.json").read_text())
    assert state["best_epoch"] == 1 + losses.index(min(losses))
    assert state["best_score"] == -min(losses)


@pytest.mark.parametrize(
    ("epoch", "stage"), [(2, "training"), (2, "validation"), (3, "training"), (3, "validation"), (6, "training")]
)
def test_stopped_at_any_stage_and_resumed_is_as_if_never_stopped(
    data: Path, tmp_path: Path, finished: Path, staged: TrainConfig, epoch: int, stage: str
) -> None:
    out = tmp_path / "run"
    with pytest.raises(StopError):
        train(data, out, staged, on_progress=stop_in(epoch, stage))
    train(data, out, staged, resume=True)
    for name in ("stage-1", "stage-2", "best", "last"):
        assert same(checkpoint(finished, name), checkpoint(out, name)), name


SCRIPT = """
import sys
from pathlib import Path
from ctpdeploy.config import load
from ctpdeploy.train import TrainConfig, train
from ctpdeploy.train.run_folder import RunFolder

data, template, out = map(Path, sys.argv[1:])
train(data, out, RunFolder(template).config(), on_progress=lambda e: print(e.epoch, e.stage, e.step, flush=True))
"""


def test_a_run_killed_within_an_epoch_and_resumed_ends_with_the_same_weights(
    data: Path, tmp_path: Path, finished: Path, staged: TrainConfig
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(data), str(finished), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("4 training"):
            os.kill(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    train(data, out, staged, resume=True)
    for name in ("stage-1", "stage-2", "best", "last"):
        assert same(checkpoint(finished, name), checkpoint(out, name)), name
