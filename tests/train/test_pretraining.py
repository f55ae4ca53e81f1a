"""A context encoder that learns before the others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.training import StopError, draw_batch, same, stop_in, tensors

from ctpdeploy.train import TrainConfig, train
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.networks.context_encoder import ContextEncoder
from ctpdeploy.train.networks.initialise import initialise
from ctpdeploy.train.pretraining import pretrain

CPU = torch.device("cpu")


def blobs(count: int) -> torch.Tensor:
    """Images ``(N, 1, 32, 32)`` of one disc each, its place and brightness drawn."""
    generator = torch.Generator().manual_seed(1)
    row, column = torch.rand(2, count, 1, 1, generator=generator) * 20 + 6
    bright = torch.rand(count, 1, 1, generator=generator) + 0.5
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    return (bright * ((y - row) ** 2 + (x - column) ** 2 < 36))[:, None]


def encoder() -> ContextEncoder:
    made = ContextEncoder()
    initialise(made, torch.Generator().manual_seed(0))
    return made


def test_codes_come_to_tell_images_apart() -> None:
    """Of a code for all images alike the error would be the images' own variance."""
    images, made = blobs(64), encoder()
    error = pretrain(made, images, torch.ones(64, 32, 32), seed=0, steps=200)
    assert error < 0.6 * float(images.var(dim=0).mean())


def test_the_same_seed_gives_the_same_encoder() -> None:
    one, same_seed, other = (encoder() for _ in range(3))
    for made, seed in ((one, 0), (same_seed, 0), (other, 1)):
        pretrain(made, blobs(16), torch.ones(16, 32, 32), seed=seed, steps=3)
    assert torch.equal(one[0].weight, same_seed[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_only_one_that_is_to_learn_first_does(config: TrainConfig) -> None:
    for phi_c, learns in (("frozen", False), ("joint", False), ("pretrained", True)):
        learner = Learner(replace(config, phi_c=phi_c), CPU)
        before = next(learner.networks["context_encoder"].parameters()).clone()
        learner.pretrain(draw_batch(2))
        after = next(learner.networks["context_encoder"].parameters())
        assert torch.equal(before, after) is not learns
        assert after.requires_grad is (phi_c == "joint")


def test_it_stays_as_it_is_and_resumes(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    settings = replace(config, epochs=2, phi_c="pretrained")
    train(data, tmp_path / "straight", settings)
    with pytest.raises(StopError):
        train(data, tmp_path / "run", settings, on_progress=stop_in(2, "training"))
    first = tensors(tmp_path / "run/checkpoints/last")
    train(data, tmp_path / "run", settings, resume=True)
    last = tensors(tmp_path / "run/checkpoints/last")
    assert same(tensors(tmp_path / "straight/checkpoints"), tensors(tmp_path / "run/checkpoints"))
    name = "context_encoder.0.weight"
    assert torch.equal(first[name], last[name])
