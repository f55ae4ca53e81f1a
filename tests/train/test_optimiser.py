"""What an optimiser does to weights, and their average."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training import StopError, draw_batch, same, stop_in, tensors

from ctpdeploy.errors import InputError
from ctpdeploy.train import OptimiserConfig, TrainConfig, train
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.optimiser import averaged, make_optimiser
from ctpdeploy.train.pace import Pace

CPU = torch.device("cpu")
RECIPE = OptimiserConfig(
    name="adamw", learning_rate=0.003, schedule="one_cycle", warm_up=0.1, weight_decay=1e-4, clip_norm=1.0, average=0.9
)


def weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.full(shape, 2.0)) for shape in ((3, 3), (3,))]


def test_decay_leaves_biases_alone() -> None:
    matrix, bias = weights()
    optimiser = make_optimiser([matrix, bias], replace(RECIPE, weight_decay=0.5))
    matrix.grad, bias.grad = torch.zeros(3, 3), torch.zeros(3)
    optimiser.step()
    assert torch.equal(matrix, torch.full((3, 3), 2.0 * (1 - 0.003 * 0.5)))
    assert torch.equal(bias, torch.full((3,), 2.0))


def test_the_average_follows_and_forgets_the_start() -> None:
    """As the formula in float64; without the lighter beginning 0.9^50 of the start would be left."""
    chain = torch.nn.Linear(2, 2, bias=False)
    average = averaged(chain, 0.9)
    expected = torch.zeros(2, 2, dtype=torch.float64)
    for count in range(50):
        with torch.no_grad():
            chain.weight.fill_(float(count))
        average.update_parameters(chain)
        decay = min(0.9, (1 + count) / (10 + count)) if count else 0.0
        expected = decay * expected + (1 - decay) * count
    assert torch.allclose(average.module.weight.double(), expected, rtol=1e-6)
    assert 0.0 < 49 - float(average.module.weight[0, 0].detach()) < 10


def test_a_long_gradient_is_shortened(config: TrainConfig) -> None:
    """RMSprop's first step hides the length of the gradient; its state does not."""

    def squares(clip_norm: float) -> float:
        learner = Learner(replace(config, optimiser=OptimiserConfig(clip_norm=clip_norm)), CPU)
        norm = learner.step(draw_batch(2), Pace(learning_rate=0.001))["gradient_norm"]
        own = learner._optimiser.state.values()
        return math.sqrt(sum(float(state["square_avg"].sum()) for state in own) / 0.01) / min(norm, clip_norm or norm)

    assert squares(0.0) == pytest.approx(1.0, rel=1e-4)
    assert squares(0.01) == pytest.approx(1.0, rel=1e-3)


def test_the_average_is_what_is_validated_and_kept(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    settings = replace(config, epochs=1, optimiser=RECIPE)
    train(data, tmp_path / "run", settings)
    best, last = (tensors(tmp_path / "run/checkpoints" / name) for name in ("best", "last"))
    name = "segmenter.head.weight"
    assert not torch.equal(best[name], last[name])
    assert torch.equal(best[name], last["average.module.segmenter.head.weight"])


@pytest.mark.parametrize("system", ["dwi_olh", "dwi_olh_s"])
def test_stopped_and_resumed_is_as_if_never_stopped(
    data: Path, tmp_path: Path, config: TrainConfig, system: str
) -> None:
    settings = replace(config, system=system, epochs=2, optimiser=RECIPE)
    train(data, tmp_path / "straight", settings)
    with pytest.raises(StopError):
        train(data, tmp_path / "resumed", settings, on_progress=stop_in(2, "validation"))
    train(data, tmp_path / "resumed", settings, resume=True)
    assert same(*(tensors(tmp_path / run / "checkpoints") for run in ("straight", "resumed")))
    lines = (tmp_path / "straight/metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["learning_rate"] for line in lines]
    assert len({round(rate, 9) for rate in rates}) == 2, "each stage has the whole schedule"


@pytest.mark.parametrize(
    "spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"no tensors")], ids=["missing", "no tensors"]
)
def test_an_average_that_is_spoiled_is_named(
    data: Path, tmp_path: Path, config: TrainConfig, spoil: Callable[[Path], object]
) -> None:
    settings = replace(config, epochs=2, optimiser=RECIPE)
    with pytest.raises(StopError):
        train(data, tmp_path / "run", settings, on_progress=stop_in(2, "training"))
    spoil(tmp_path / "run/checkpoints/last/average.safetensors")
    with pytest.raises(InputError, match=r"average\.safetensors holds no average that fits"):
        train(data, tmp_path / "run", settings, resume=True)
