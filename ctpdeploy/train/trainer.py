"""Training of a system, stage after stage (sections 3.4 and 4.1 of the source)."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ctpdeploy.atomic import require_writable
from ctpdeploy.errors import GuardError, InputError
from ctpdeploy.paper.systems import SYSTEMS, system_named
from ctpdeploy.runtime.io.case_ref import CaseRef, by_name
from ctpdeploy.runtime.io.cases import find_cases, take_inventory
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.calibration import Calibration, calibrate
from ctpdeploy.train.case_facts import CaseFacts, card_of
from ctpdeploy.train.dataset import LabelledCase, SliceDataset, read_labelled
from ctpdeploy.train.distributed import Processes, join_processes
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.loader import Loader
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.pace import Pace, lengthened
from ctpdeploy.train.progress import OnProgress, ProgressEvent
from ctpdeploy.train.run_folder import RunFolder, RunState
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import Split, read_patients, split_cases
from ctpdeploy.train.stages import Stage, stages_of
from ctpdeploy.train.tensorboard import Events
from ctpdeploy.train.torch_engine import TorchEngine
from ctpdeploy.train.validation import Validation, validate

__all__ = ["RunSummary", "Trainer", "train"]


COLLAPSED: Final = 0.1
"""Share of its spread over the first epoch under which the codes of Phi_c are said to be all alike."""


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """The outcome of a training run.

    Attributes:
        best: folder of the best checkpoint, for :func:`ctpdeploy.train.networks.load_chain` and the exporter.
        epochs: epochs completed, of all stages together.
        best_epoch: the one with the highest validation Dice, counted from 1.
        best_dice: that Dice, the mean over the validation cases.
        calibration: of its networks.
        seconds: time of this call.
        split: of the cases, into training and validation.
        warnings: assumptions, one sentence each.
    """

    best: Path
    epochs: int
    best_epoch: int
    best_dice: float
    calibration: Calibration
    seconds: float
    split: Split
    warnings: tuple[str, ...]


def train(
    data: Path,
    out: Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    patients: Path | None = None,
    split: Split | None = None,
    on_progress: OnProgress | None = None,
    device: str | None = None,
    cache: CaseCache | None = None,
) -> RunSummary:
    """Train a system on a folder of cases; keep the epoch with the best validation score of each stage.

    On the CPU a run that was stopped and resumed ends with the same weights, bit for bit, as one that was not.

    Args:
        data: folder of cases with lesion, and with DWI for a system that needs it.
        out: run folder, as :mod:`ctpdeploy.train.run_folder` lays it out.
        config: the whole configuration.
        resume: take up the run in ``out`` where it stopped.
        patients: CSV table ``case,patient``; without it every case counts as a patient.
        split: of the cases, where it is not to be drawn; those that it does not name are not read.
        on_progress: called at every step.
        device: of the networks, in PyTorch's words; CUDA where there is one, else the CPU.
        cache: of preprocessed cases.

    Raises:
        InputError: a case, the table of patients or the run to resume cannot be read, or the cases lack the DWI that
            the system needs.
        UsageError: ``out`` cannot be written, is not empty and not resumed, or was begun with another configuration or
            other cases.
        GuardError: the loss, a gradient or the outputs are not finite; the last checkpoint stays.
    """
    start = time.perf_counter()
    found = by_name(find_cases(data))
    _check_dwi(list(found.values()), config.system)
    table = read_patients(patients) if patients else None
    split = split or split_cases(
        list(found), table, share=config.validation_share, test_share=config.test_share, seed=config.split_seed
    )
    run, longer = RunFolder(out), tuple[str, ...]()
    if resume:
        run.check_same(config, split)
        if config.epochs != (begun := run.config()).epochs:
            longer = (lengthened(begun, config, max(run.state().epoch - stages_of(config)[-1].begin, 0)),)
    with join_processes(device) as processes:
        report = on_progress if on_progress and processes.first else _ignore
        if processes.first and not resume:
            run.check_empty()
        if processes.first:
            require_writable(out)
        count = len(found)
        warnings = (*split.warnings, *longer)
        report(ProgressEvent(stage="finding", step=count, steps=count, epochs=config.epochs, warnings=warnings))
        cases = _read_cases({name: found[name] for name in (*split.train, *split.validation)}, config, cache, report)
        facts = {name: case.facts for name, case in cases.items()}
        card = card_of(facts, split, table, config.data_kind)
        dataset = SliceDataset([cases.pop(name) for name in split.train])  # which copies: no need to keep both
        if resume:
            run.check_data(dataset.sha256())
            if processes.first:
                run.resume(config, card)
        elif processes.first:
            run.begin(config, split, dataset.sha256(), card)
        processes.wait()
        learner = Learner(config, processes.device)
        if run.state() == RunState():
            learner.pretrain(dataset.slices)
        trainer = Trainer(
            config=config,
            learner=learner,
            loader=Loader(dataset, config, processes.device, rank=processes.rank, world=processes.world),
            validation=list(cases.values())[processes.rank :: processes.world],
            run=run,
            processes=processes,
            report=report,
        )
        state = trainer.train()
        best = TorchEngine(load_chain(run.checkpoint("best")).to(processes.device))
        calibration = calibrate(best, trainer.validation, processes.device)
        if processes.first:
            run.keep_calibration(calibration)
    return RunSummary(
        best=run.checkpoint("best"),
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        best_dice=state.best_score,
        calibration=calibration,
        seconds=time.perf_counter() - start,
        split=split,
        warnings=(*split.warnings, *(cache.warnings if cache else ()), *_collapse(config, run), *_twins(facts, split)),
    )


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """The loop over stages, epochs and steps.

    Attributes:
        config: the whole configuration.
        learner: the networks.
        loader: of the mini-batches.
        validation: this process's share of the cases that choose the best epoch.
        run: folder that the first process writes to.
        processes: this one among all of the run.
        report: called at every step.
    """

    config: TrainConfig
    learner: Learner
    loader: Loader
    validation: Sequence[LabelledCase]
    run: RunFolder
    processes: Processes
    report: OnProgress

    def train(self) -> RunState:
        """All epochs that are still to do; returns where that ends."""
        stages = stages_of(self.config)
        state = self.run.state()
        first = state.epoch + 1
        with Events(self.run.path / "tensorboard", first) if self.processes.first else nullcontext() as events:
            for epoch in range(first, stages[-1].end + 1):
                number = max(n for n, stage in enumerate(stages) if stage.begin < epoch)
                begins = epoch == stages[number].begin + 1
                if begins or epoch == first:
                    self.learner.begin_stage(number)
                if begins and number > 0:
                    self.learner.load_networks(self.run.checkpoint(f"stage-{number}"))
                    state = RunState(epoch=state.epoch)
                elif not begins and epoch == first:
                    self.learner.load(self.run.checkpoint("last"))
                validation, measured = self._epoch(epoch, stages[number], of=stages[-1].end)
                state = state.after_epoch(validation.score, self.config.keep)
                if events:
                    events.add(epoch, measured)
                    self.run.append_metrics(epoch, measured)
                    if state.best_epoch == epoch:
                        name = "best" if number == len(stages) - 1 else f"stage-{number + 1}"
                        self.run.save(name, state, self.learner.save_networks)
                    self.run.save("last", state, self.learner.save)
                self.processes.wait()
        return state

    def _epoch(self, epoch: int, stage: Stage, *, of: int) -> tuple[Validation, dict[str, float | str]]:
        """Train and validate; also what to write down of it."""
        begun = time.perf_counter()
        words = " + ".join(stage.learns)
        progress = ProgressEvent(stage="training", epoch=epoch, epochs=of, learns=words)
        terms = self._steps(progress, stage)
        system = system_named(self.config.system)
        validation = validate(self.learner.candidate, self.validation, system, stage.learns)
        self.report(replace(progress, stage="validation", dice=validation.dice))
        outcome = {f"validation_{name}": value for name, value in asdict(validation).items() if value is not None}
        measured = {"learns": words, **terms, **outcome}
        return validation, {**measured, "seconds": time.perf_counter() - begun}

    def _steps(self, progress: ProgressEvent, stage: Stage) -> dict[str, float]:
        """All steps of an epoch.

        Returns:
            The learning rate of the last step, the means of the loss terms, and the share of the time spent waiting
            for data.
        """
        self.learner.begin_epoch()
        steps = self.loader.steps
        done, whole = (progress.epoch - 1 - stage.begin) * steps, stage.epochs * steps
        pace = Pace.of(self.config, 0, whole)
        measured: list[dict[str, float]] = []
        begun = time.perf_counter()
        for step, batch in enumerate(self.loader.epoch(progress.epoch), start=1):
            pace = Pace.of(self.config, done + step - 1, whole)
            try:
                measured.append(self.learner.step(batch, pace))
            except GuardError as error:
                raise GuardError(f"In epoch {progress.epoch}, step {step}: {error}") from error
            self.report(replace(progress, step=step, steps=steps, loss=measured[-1]["total"]))
        table = np.array([list(terms.values()) for terms in measured])
        finite = np.ma.masked_invalid(table).mean(axis=0)  # float16 leaves out steps whose gradient overflows
        means = {name: float(mean) for name, mean in zip(measured[0], finite, strict=True) if mean is not np.ma.masked}
        rate = pace.learning_rate
        return {"learning_rate": rate, **means, "waiting_share": self.loader.waited_s / (time.perf_counter() - begun)}


def _check_dwi(cases: Sequence[CaseRef], system: str) -> None:
    """Refuse cases without the DWI that a system is trained with, before any is read.

    Raises:
        InputError: a case has none.
    """
    lack = take_inventory(cases).lack("dwi")
    if lack and system_named(system).needs_dwi:
        others = ", ".join(name for name, other in SYSTEMS.items() if not other.needs_dwi)
        raise InputError(f"{lack}, which the system {system} is trained with; without it these can be: {others}.")


def _collapse(config: TrainConfig, run: RunFolder) -> Iterator[str]:
    """A warning where a Phi_c that learns has come to describe all images alike."""
    spreads = [line["context_spread"] for line in run.metrics() if "context_spread" in line]
    if config.phi_c == "joint" and spreads and spreads[-1] < COLLAPSED * spreads[0]:
        yield (
            f"Phi_c has come to describe all images alike: over a mini-batch its codes spread by {spreads[-1]:.2g}, "
            f"in the first epoch by {spreads[0]:.2g}. The context loss teaches nothing then; phi_c=frozen keeps it."
        )


def _twins(facts: Mapping[str, CaseFacts], split: Split) -> Iterator[str]:
    """A warning for each scan that is both trained on and validated on, whatever its cases are called."""
    trained = {facts[name].fingerprint: name for name in split.train}
    for name in split.validation:
        if twin := trained.get(facts[name].fingerprint):
            yield f"{name}, which is validated on, is the same scan as {twin}, which is trained on: its Dice flatters."


def _read_cases(
    found: Mapping[str, CaseRef], config: TrainConfig, cache: CaseCache | None, report: OnProgress
) -> dict[str, LabelledCase]:
    cases = {}
    for step, (name, case) in enumerate(found.items(), start=1):
        cases[name] = read_labelled(case, config, cache)
        report(ProgressEvent(stage="reading", step=step, steps=len(found), epochs=config.epochs))
    return cases


def _ignore(event: ProgressEvent) -> None:
    """The default callback of progress, which does nothing."""
