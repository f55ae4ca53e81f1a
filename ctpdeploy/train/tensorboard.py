"""The course of a run for TensorBoard: ``tensorboard --logdir RUN``."""

from collections.abc import Mapping
from pathlib import Path

from ctpdeploy.optional import require

__all__ = ["Events"]


class Events:
    """A file of events in ``RUN/tensorboard``; a context manager, closed at its end.

    Args:
        folder: of the events.
        first_epoch: where to go on; what the run had written beyond before it was stopped is hidden.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, first_epoch: int) -> None:
        require("tensorboard", extra="train")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(folder, purge_step=first_epoch)

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, epoch: int, measured: Mapping[str, float | str]) -> None:
        """Add the figures of an epoch, counted from 1; words are left out."""
        for name, value in measured.items():
            if not isinstance(value, str):
                group = "validation" if name.startswith("validation") else "training"
                self._writer.add_scalar(f"{group}/{name}", value, epoch)
