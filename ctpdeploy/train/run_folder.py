"""The run folder: everything about a training run, written so that stopping at any moment loses no more than an epoch.

::

    config.json           the configuration
    split.json            the cases of each part
    card.json             what these are, for the model card
    data.json             digest of what is trained on
    tensorboard/          the same figures for TensorBoard
    metrics.jsonl         one line an epoch: stage, learning rate, loss terms, validation score, seconds
    checkpoints/last/     the networks, optimiser.safetensors, state.json
    checkpoints/best/     the same without the optimiser, of the best epoch of the last stage, and its calibration.json
    checkpoints/stage-1/  likewise of an earlier stage, for systems that are trained one part after another

Files and checkpoint folders are written under a temporary name and then renamed.
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ctpdeploy.atomic import atomic_folder, atomic_replace
from ctpdeploy.config import merge, to_dict
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.preprocess.preprocess import stored_config
from ctpdeploy.scratch import sweep
from ctpdeploy.train.calibration import Calibration
from ctpdeploy.train.networks.checkpoint import load_chain
from ctpdeploy.train.run_record import CALIBRATION, CARD, RunRecord
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import Split
from ctpdeploy.train.stages import require_longer
from ctpdeploy.train.torch_engine import TorchEngine

__all__ = ["RunFolder", "RunState", "open_run"]


@dataclass(frozen=True, kw_only=True)
class RunState:
    """State of a run.

    Attributes:
        epoch: epochs completed, of all stages together.
        best_epoch: the best one of the stage under way, counted from 1; 0 before its first.
        best_score: its validation score, larger being better.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = -math.inf

    def after_epoch(self, score: float, keep: Literal["best", "last"] = "best") -> "RunState":
        """The state after one more epoch with this score; of equals the earlier one stays the best.

        With ``keep="last"`` each epoch counts as the best so far.
        """
        epoch = self.epoch + 1
        if keep == "last" or score > self.best_score:
            return RunState(epoch=epoch, best_epoch=epoch, best_score=score)
        return RunState(epoch=epoch, best_epoch=self.best_epoch, best_score=self.best_score)


class RunFolder:
    """A run on disk.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def check_empty(self) -> None:
        """Refuse to begin where there is something already.

        Raises:
            UsageError: the folder is not empty.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(f"{self.path} is not empty: resume the run in it, or name another folder.")

    def begin(self, config: TrainConfig, split: Split, data_sha256: str, card: ModelCard | None = None) -> None:
        """Make the folder, which is empty or not there, with the record of configuration, split and data."""
        with suppress(FileNotFoundError):
            self.path.rmdir()
        with atomic_folder(self.path) as folder:
            (folder / "checkpoints").mkdir()
            for name, content in (
                ("config.json", to_dict(config)),
                ("split.json", asdict(split)),
                ("data.json", {"train_sha256": data_sha256}),
                (CARD, to_dict(card or ModelCard())),
            ):
                (folder / name).write_text(_json(content), encoding="utf-8")

    @property
    def begun(self) -> bool:
        """Whether there is a run in the folder."""
        return (self.path / "config.json").is_file()

    def check_same(self, config: TrainConfig, split: Split) -> None:
        """Refuse to resume another run; the same one may get more epochs.

        Raises:
            InputError: there is no run in the folder.
            UsageError: it was begun with another configuration or other cases.
        """
        begun = self.config()
        if changes := _changes(to_dict(replace(begun, epochs=config.epochs)), to_dict(config)):
            raise UsageError(
                f"The run in {self.path} was begun with another configuration ({', '.join(changes)}): leave that as it "
                "was, or begin elsewhere; only its epochs can be raised."
            )
        if config.epochs != begun.epochs:
            require_longer(begun, config, str(self.path))
        if _read(self.path / "split.json") != json.loads(_json(asdict(split))):
            raise UsageError(
                f"The run in {self.path} was begun with other cases: see its split.json, or begin elsewhere."
            )

    def check_data(self, data_sha256: str) -> None:
        """Refuse to resume on material that has changed since.

        Raises:
            UsageError: the digests differ.
        """
        if _read(self.path / "data.json") != {"train_sha256": data_sha256}:
            raise UsageError(f"The cases of the run in {self.path} have changed since it was begun: begin elsewhere.")

    def config(self) -> TrainConfig:
        """The configuration that the run was begun with.

        Raises:
            InputError: there is no run in the folder.
            UsageError: it is none of this version.
        """
        file = self.path / "config.json"
        return merge(replace(TrainConfig(), preprocess=stored_config({}, "")), _read(file), where=str(file))

    def split(self) -> Split:
        """The cases of each part.

        Raises:
            InputError: they cannot be read.
        """
        try:
            parts = json.loads((self.path / "split.json").read_text(encoding="utf-8"))
            return Split(**{part: tuple(cases) for part, cases in parts.items()})
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"The split of the run in {self.path} cannot be read ({error!r}): remove the run and make it again."
            ) from error

    def checkpoint(self, name: str) -> Path:
        """The folder of the checkpoint ``"last"`` or ``"best"``."""
        sweep(self.path / "checkpoints")  # where saving is two steps, and was stopped between them
        return self.path / "checkpoints" / name

    def state(self) -> RunState:
        """The state of the run.

        Raises:
            InputError: its state cannot be read.
        """
        file = self.checkpoint("last") / "state.json"
        return RunState(**_read(file)) if file.exists() else RunState()

    def resume(self, config: TrainConfig, card: ModelCard) -> None:
        """Record that the run goes on: its epochs, which may be more, and a card where it has none yet."""
        _write(self.path / "config.json", _json(to_dict(config)))
        if not (self.path / CARD).exists():
            _write(self.path / CARD, _json(to_dict(card)))

    def keep_calibration(self, calibration: Calibration) -> None:
        """Put a calibration beside the best checkpoint, with which it goes."""
        _write(self.checkpoint("best") / CALIBRATION, _json(asdict(calibration)))

    def save(self, name: str, state: RunState, write: Callable[[Path], None]) -> None:
        """Replace a checkpoint; ``write`` puts the tensors into the folder that it is given."""
        with atomic_folder(self.path / "checkpoints" / name, replace=True) as folder:
            write(folder)
            (folder / "state.json").write_text(_json(asdict(state)), encoding="utf-8")

    def append_metrics(self, epoch: int, measured: Mapping[str, float | str]) -> None:
        """Add the line of an epoch to ``metrics.jsonl``, in place of what an epoch that was not completed left."""
        kept = [line for line in self.metrics() if line["epoch"] < epoch]
        lines = (json.dumps(line) + "\n" for line in (*kept, {"epoch": epoch, **measured}))
        _write(self.path / "metrics.jsonl", "".join(lines))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``, one an epoch; none before the first."""
        file = self.path / "metrics.jsonl"
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def open_run(path: Path, *, checkpoint: str = "best", device: str | None = None) -> Pipeline:
    """A pipeline that runs a checkpoint of a run in eager PyTorch, preprocessing as it was trained.

    Args:
        path: run folder.
        checkpoint: which one.
        device: where to compute, in PyTorch's words; the CPU by default.

    Raises:
        InputError: there is no such checkpoint, or it cannot be read.
        UsageError: the configuration of the run is none of this version.
    """
    run = RunFolder(path)
    engine, config = TorchEngine(load_chain(run.checkpoint(checkpoint)).to(device)), run.config()
    record = RunRecord.of(path, checkpoint)
    constants = replace(config.preprocess, threshold=record.threshold)
    return Pipeline(engine, constants, perfusion=config.perfusion, card=record.card)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Each setting that differs, with both values."""
    found = list[str]()
    for key, value in old.items():
        if isinstance(value, Mapping):
            found += _changes(value, new[key], f"{prefix}{key}.")
        elif value != new[key]:
            found.append(f"{prefix}{key} was {value} and is {new[key]}")
    return found


def _json(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"


def _write(file: Path, text: str) -> None:
    with atomic_replace(file) as partial:
        partial.write_text(text, encoding="utf-8")


def _read(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}. Is {file.parent} the folder of a run?") from error
