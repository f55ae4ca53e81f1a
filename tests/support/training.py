"""What tests of training share: runs that are stopped, the tensors that runs leave, a mini-batch."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from ctpdeploy.train import OnProgress, ProgressEvent
from ctpdeploy.train.dataset import Batch


class StopError(Exception):
    """What interrupts a run."""


def stop(*_: object) -> None:
    """Progress at which a run stops, whatever it is."""
    raise StopError


def stop_in(epoch: int, stage: str) -> OnProgress:
    """Stops a run at the first progress of a stage of an epoch."""

    def on_progress(event: ProgressEvent) -> None:
        if (event.epoch, event.stage) == (epoch, stage):
            stop()

    return on_progress


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors under a folder, by path of the file and name: ``checkpoints/best/segmenter.head.weight``."""
    return {
        f"{file.relative_to(folder).with_suffix('').as_posix()}.{name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
    }


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether these are the same tensors to the last bit; some there must be."""
    return bool(one) and one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def draw_batch(slices: int) -> Batch:
    """A mini-batch of noise on 32x32, with a lesion in a fifth of the pixels; always the same."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(slices, *shape, generator=generator)

    return Batch(draw(6, 32, 32), draw(5, 32, 32), draw(1, 32, 32), draw(32, 32) > 0.8, draw(32, 32) + 0.5)
