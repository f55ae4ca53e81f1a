"""Training of Phi_e, Phi_g, Phi_c and Phi_s end to end (sections 3.4 and 4.1 of the source)."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ctpdeploy.errors import GuardError, UsageError
from ctpdeploy.runtime.agreement import agreement
from ctpdeploy.runtime.isles2018 import case_name, find_cases
from ctpdeploy.runtime.postprocess import THRESHOLD
from ctpdeploy.train.dataset import LabelledCase, SliceDataset, read_labelled
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.losses import LossTerms
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.checkpoint import save_networks
from ctpdeploy.train.progress import OnProgress, ProgressEvent
from ctpdeploy.train.run import RunFolder
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import read_patients, split_cases
from ctpdeploy.train.torch_engine import TorchEngine

__all__ = ["RunSummary", "train", "validation_dice"]


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """How a run ended.

    Attributes:
        best: folder of the best checkpoint, for :func:`ctpdeploy.train.networks.load_chain` and the exporter.
        epochs: epochs completed.
        best_epoch: the one with the highest validation Dice, counted from 1.
        best_dice: that Dice, the mean over the validation cases.
        seconds: time of this call.
        warnings: what was assumed, one sentence each.
    """

    best: Path
    epochs: int
    best_epoch: int
    best_dice: float
    seconds: float
    warnings: tuple[str, ...]


def train(
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    patients: Path | None = None,
    on_progress: OnProgress | None = None,
    device: str | None = None,
) -> RunSummary:
    """Train the pipeline on a folder of ISLES 2018 cases; keep the epoch with the best validation Dice.

    On the CPU a run that was stopped and resumed ends with the same weights, bit for bit, as one that was not.

    Args:
        data: folder of cases with DWI and lesion.
        out: run folder, as :mod:`ctpdeploy.train.run` lays it out.
        config: the whole configuration.
        resume: take up the run in ``out`` where it stopped.
        patients: CSV table ``case,patient``; without it every case counts as a patient.
        on_progress: told of every step.
        device: where to compute, in PyTorch's words; CUDA where there is one, else the CPU.

    Raises:
        InputError: a case, the table of patients or the run to resume cannot be read.
        UsageError: ``out`` is not empty and not resumed, or was begun with another configuration or other cases.
        GuardError: the loss or the outputs are not finite; the last checkpoint stays.
    """
    start = time.perf_counter()
    report = on_progress or _ignore
    folders = _by_name(find_cases(data))
    table = read_patients(patients) if patients else None
    split = split_cases(list(folders), table, share=config.validation_share, seed=config.seed)
    run = RunFolder(out)
    if resume:
        run.check_same(config, split)
    else:
        run.check_empty()
    cases = _read_cases(folders, config, report)
    dataset = SliceDataset([cases.pop(name) for name in split.train])  # which copies: no need to keep both
    validation = list(cases.values())
    if resume:
        run.check_data(dataset.sha256())
    else:
        run.begin(config, split, dataset.sha256())

    learner = Learner(config, torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu")))
    state = run.state()
    if state.epoch:
        learner.load(run.checkpoint("last"))

    for epoch in range(state.epoch + 1, config.epochs + 1):
        epoch_start = time.perf_counter()
        rate = config.learning_rate(epoch)
        terms = _train_epoch(learner, dataset, config, epoch, report)
        dice = validation_dice(learner.chain, validation)
        state = state.after_epoch(dice)
        seconds = time.perf_counter() - epoch_start
        run.append_metrics(
            {"epoch": epoch, "learning_rate": rate, **terms, "validation_dice": dice, "seconds": seconds}
        )
        if state.best_epoch == epoch:
            run.save("best", state, partial(save_networks, networks=learner.networks))
        run.save("last", state, learner.save)
        report(ProgressEvent(epoch=epoch, epochs=config.epochs, stage="validation", step=1, steps=1, dice=dice))

    return RunSummary(
        best=run.checkpoint("best"),
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        best_dice=state.best_dice,
        seconds=time.perf_counter() - start,
        warnings=split.warnings,
    )


def validation_dice(chain: Chain, cases: Sequence[LabelledCase]) -> float:
    """Mean Dice of whole volumes on the networks' grid; puts the chain into evaluation mode.

    Raises:
        GuardError: the networks return NaN or infinity.
    """
    engine = TorchEngine(chain)
    return float(np.mean([_dice(engine, case) for case in cases]))


def _dice(engine: TorchEngine, case: LabelledCase) -> float:
    probability = engine.run(case.inputs).probability
    if not np.isfinite(probability).all():
        raise GuardError(f"The networks return NaN or infinity for {case.identifier}: lower the learning rate.")
    return agreement(probability > THRESHOLD, case.lesion, voxel_ml=1.0).dice  # which no volume enters


def _train_epoch(
    learner: Learner, dataset: SliceDataset, config: TrainConfig, epoch: int, report: OnProgress
) -> dict[str, float]:
    """All steps of an epoch; returns the means of the loss terms."""
    learner.begin_epoch(config.learning_rate(epoch))
    steps = dataset.steps(config.batch_size)
    terms = np.empty((steps, len(LossTerms._fields)))
    for step, batch in enumerate(dataset.batches(config.batch_size, seed=config.seed, epoch=epoch)):
        loss = learner.loss(batch)
        terms[step] = torch.stack(loss).tolist()
        total = float(terms[step, 0])
        if not math.isfinite(total):
            raise GuardError(f"The loss is {total} in epoch {epoch}, step {step + 1}: lower the learning rate.")
        learner.update(loss.total)
        report(
            ProgressEvent(stage="training", step=step + 1, steps=steps, epoch=epoch, epochs=config.epochs, loss=total)
        )
    return dict(zip(LossTerms._fields, terms.mean(axis=0).tolist(), strict=True))


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Case folders by the names of the cases.

    Raises:
        UsageError: two have the same name.
    """
    named: dict[str, Path] = {}
    for folder in folders:
        name = case_name(folder)
        if name in named:
            raise UsageError(f"{named[name]} and {folder} have the same name: rename one.")
        named[name] = folder
    return named


def _read_cases(folders: Mapping[str, Path], config: TrainConfig, report: OnProgress) -> dict[str, LabelledCase]:
    cases = {}
    for step, (name, folder) in enumerate(folders.items(), start=1):
        cases[name] = read_labelled(folder, config)
        report(ProgressEvent(stage="reading", step=step, steps=len(folders), epochs=config.epochs))
    return cases


def _ignore(event: ProgressEvent) -> None:
    """What happens to progress that nobody asked for."""
