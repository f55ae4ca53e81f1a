"""The processes that train one run together, as ``torchrun`` starts them; usually there is but one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from ctpdeploy.train.device import default_device

__all__ = ["Processes", "join_processes"]


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those of a run.

    Attributes:
        rank: from 0; the first one writes and reports.
        world: how many there are.
        device: of this one.
    """

    rank: int = 0
    world: int = 1
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and reports."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all have come this far."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def join_processes(device: str | None) -> Iterator[Processes]:
    """Join the other processes of ``torchrun``, if it started this one, until the block ends.

    Args:
        device: where to compute, in PyTorch's words; by default a GPU for each process, else the CPU.
    """
    kind = torch.device(device or default_device())
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(device=kind)
        return
    if kind.type == "cuda":
        kind = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(kind)
    distributed.init_process_group("nccl" if kind.type == "cuda" else "gloo")
    try:
        yield Processes(rank=distributed.get_rank(), world=world, device=kind)
    finally:
        distributed.destroy_process_group()
