"""A reproduction: rows of the source's tables trained and evaluated on one data set.

::

    OUT/SYSTEM/seed-0/               run folder
    OUT/SYSTEM/seed-0/evaluation/    scores of the test cases
    OUT/SYSTEM/seed-0/fold-1/        with folds, a run folder for each
    OUT/ENSEMBLE/seed-0/             an ensemble's evaluation/, likewise, of the mean of its members' runs
    OUT/folds.json                   their splits
    OUT/table-5.csv                  published beside measured

A system that stands in several tables is trained once. What is there already is not done again; a run that was stopped
is resumed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ctpdeploy.errors import InputError, UnknownKeyError, UsageError
from ctpdeploy.paper.systems import CONTROLS, ENSEMBLES, TABLES, UNDEFINED, row_named, system_named
from ctpdeploy.runtime.cohort.evaluation import evaluate_cases
from ctpdeploy.runtime.cohort.score_summary import summarise
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.cases import find_cases, take_inventory
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.dataset import read_prepared
from ctpdeploy.train.device import default_device
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.progress import OnProgress
from ctpdeploy.train.reproduction.comparison import Measured, beside, comparison_csv, measure
from ctpdeploy.train.reproduction.ensemble_record import is_of, write_ensemble
from ctpdeploy.train.reproduction.folds import fold_splits, read_folds, write_folds
from ctpdeploy.train.reproduction.run_scores import EVALUATION, fold_folders, read_scores, read_summary
from ctpdeploy.train.run_folder import RunFolder, open_run
from ctpdeploy.train.settings import TrainConfig
from ctpdeploy.train.split import Split, read_patients
from ctpdeploy.train.torch_ensemble import open_ensemble
from ctpdeploy.train.trainer import train

__all__ = ["Reproduction"]

VALIDATION_SHARE, TEST_SHARE = 6 / 94, 23 / 94
"""Of the source's 94 scans 65 were trained on, 6 validated and 23 tested (section 4.1)."""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """Runs of many systems that differ in the system and the seed alone.

    Attributes:
        data: folder of cases.
        out: folder of the reproduction.
        config: of every run; its system and seed are replaced. Where it puts no cases aside for testing and there is
            no ``test``, they are split as in the source, 65 to 6 to 23.
        test: folder of test cases; None to put some of ``data`` aside.
        folds: of a cross-validation (:mod:`ctpdeploy.train.reproduction.folds`), so that every case of ``data`` is
            tested; 0 for one split. Not together with ``test``.
        seeds: of the runs of each system; all share one split, or its folds.
        patients: CSV table ``case,patient``.
        cache: of preprocessed cases.
        device: where to train and to evaluate, as for :func:`ctpdeploy.train.train`.
    """

    data: Path
    out: Path
    config: TrainConfig
    test: Path | None = None
    folds: int = 0
    seeds: Sequence[int] = (0,)
    patients: Path | None = None
    cache: CaseCache | None = None
    device: str | None = None

    def trainable(self, table: int, rows: Sequence[str] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
        """The systems and ensembles of a table by row, and a sentence for each row that cannot be trained.

        Args:
            table: 1 to 6.
            rows: names of the rows, those of ``CONTROLS`` too; all of the table if none is named.

        Raises:
            InputError: the data cannot be found, or lack what every row is trained with.
            UsageError: there is no such table or row, or no system for the only ones.
        """
        if table not in TABLES:
            raise UsageError(f"There is no table {table} to train: choose one of {', '.join(map(str, TABLES))}.")
        undefined = UNDEFINED.get(table, {})
        known = [*TABLES[table], *undefined, *CONTROLS]
        for row in rows:
            if row not in known:
                raise UnknownKeyError(row, known, f"table {table}")
        rows = rows or [*TABLES[table], *undefined]
        left_out = [f"Row {row} is left out: {why}." for row, why in undefined.items() if row in rows]
        wanted = {row: system for row, system in (TABLES[table] | CONTROLS).items() if row in rows}
        if not wanted:
            raise UsageError(" ".join(left_out))
        lack = take_inventory(find_cases(self.data)).lack("dwi")
        chosen = {row: system for row, system in wanted.items() if not (lack and row_named(system).needs_dwi)}
        if not chosen:
            raise InputError(f"{lack}, which every row asked for is trained with: take other rows, or other cases.")
        left_out += [f"{lack}: row {row} is left out." for row in wanted if row not in chosen]
        return chosen, tuple(left_out)

    def run(
        self,
        system: str,
        seed: int,
        *,
        on_progress: OnProgress | None = None,
        on_case: Callable[[int, int], None] | None = None,
    ) -> None:
        """Train and evaluate a system, or the members of an ensemble and then that, as far as it is still to do.

        Args:
            system: its name, or the ensemble's.
            seed: of initial weights and the order of slices.
            on_progress: called at every step of the training.
            on_case: called with the number of test cases scored and of all.

        Raises:
            InputError, UsageError, GuardError: as :func:`ctpdeploy.train.train` and
                :func:`ctpdeploy.runtime.cohort.evaluation.evaluate_cases`.
        """
        for member, own_seed in self.members(system, seed):
            self.run(member, own_seed, on_progress=on_progress, on_case=on_case)
        for number, (folder, split) in enumerate(self._runs(system, seed)):
            if system in ENSEMBLES:
                runs = [fold_folders(self.folder(*run), self.folds)[number] for run in self.members(system, seed)]
                self._run_ensemble(folder, runs, on_case)
            else:
                self._run(folder, split, self.run_config(system, seed), on_progress, on_case)

    def members(self, system: str, seed: int) -> tuple[tuple[str, int], ...]:
        """System and seed of the runs behind an ensemble; none behind a system."""
        return ENSEMBLES[system].runs(seed) if system in ENSEMBLES else ()

    def _run(
        self,
        folder: Path,
        split: Split | None,
        config: TrainConfig,
        on_progress: OnProgress | None,
        on_case: Callable[[int, int], None] | None,
    ) -> None:
        """One run folder, as far as that is still to do."""
        run = RunFolder(folder)
        if read_summary(folder) is not None:
            if run.config() != config:
                raise UsageError(f"{folder} was made with another configuration: name another --out folder.")
            return
        device = self.device or default_device()
        summary = train(
            self.data,
            folder,
            config,
            resume=run.begun,
            patients=self.patients,
            split=split,
            on_progress=on_progress,
            device=device,
            cache=self.cache,
        )
        self._evaluate(open_run(folder, device=device), summary.split, folder, on_case)

    def _run_ensemble(self, folder: Path, runs: Sequence[Path], on_case: Callable[[int, int], None] | None) -> None:
        """The mean of finished runs, as far as it is still to be evaluated."""
        if read_summary(folder) is not None:
            if not is_of(folder, self.out, runs):
                raise UsageError(f"{folder} was made of other runs: remove it and have it made again.")
            return
        split, device = RunFolder(runs[0]).split(), self.device or default_device()
        pipeline, calibration = open_ensemble(runs, self._of(split.validation), device=device, cache=self.cache)
        write_ensemble(folder, self.out, runs, calibration)
        self._evaluate(pipeline, split, folder, on_case)

    def _evaluate(
        self, pipeline: Pipeline, split: Split, folder: Path, on_case: Callable[[int, int], None] | None
    ) -> None:
        """Score the test cases."""
        tested = find_cases(self.test) if self.test else self._of(split.test)
        scores = evaluate_cases(pipeline, tested, folder / EVALUATION, on_case=on_case)
        for name, reason in scores["refused"].items():  # a row is of all test cases, or of none
            raise InputError(f"The test case {name} cannot be scored. {reason}")
        for name in scores["known"]:
            raise InputError(f"The test case {name} is a scan that {folder} has seen in training: leave one out.")

    def run_config(self, system: str, seed: int) -> TrainConfig:
        """The configuration of a run."""
        config = replace(self.config, system=system, seed=seed)
        if self.test is None and not self.folds and config.test_share == 0.0:
            config = replace(config, validation_share=VALIDATION_SHARE, test_share=TEST_SHARE)
        return config

    def folder(self, system: str, seed: int) -> Path:
        """The run folder of a system and a seed."""
        return self.out / system / f"seed-{seed}"

    def summary(self, system: str, seed: int) -> dict[str, Any] | None:
        """Summary of the test cases, of all folds together; None if one is not evaluated yet, or not in all cases."""
        folder = self.folder(system, seed)
        if not self.folds:
            return read_summary(folder)
        scores = read_scores(folder, self.folds)
        return None if scores is None else summarise(scores)

    def measured(self, table: int) -> dict[str, Measured]:
        """Measured rows of a table, from its finished runs; also written to ``table-N.csv``."""
        found = {}
        for row, system in TABLES[table].items():
            if summaries := self._summaries(system):
                runs = self.members(system, self.seeds[0]) or [(system, self.seeds[0])]
                found[row] = measure(table, summaries, sum(self._weights(*run) for run in runs))
        (self.out / f"table-{table}.csv").write_text(comparison_csv(table, found), encoding="utf-8")
        return found

    def beside(self, table: int) -> dict[str, dict[str, float | None]]:
        """Of the same rows what the source does not print (:func:`ctpdeploy.train.reproduction.comparison.beside`)."""
        found = {row: self._summaries(system) for row, system in TABLES[table].items()}
        return {row: beside(summaries) for row, summaries in found.items() if summaries}

    def _weights(self, system: str, seed: int) -> int:
        """Number of weights of a run's segmenter."""
        with torch.device("meta"):  # counted, not made
            chain = make_chain(system_named(system), self.run_config(system, seed))
        return sum(p.numel() for p in chain.get_submodule("segmenter").parameters())

    def _summaries(self, system: str) -> list[dict[str, Any]]:
        """Summaries of the finished runs of a system, one a seed."""
        return [summary for seed in self.seeds if (summary := self.summary(system, seed)) is not None]

    def _runs(self, system: str, seed: int) -> Iterator[tuple[Path, Split | None]]:
        """The run folders of a system and a seed, with their splits where these are not drawn.

        Raises:
            UsageError: the folder was begun with another number of folds, or there is a folder of test cases as well.
        """
        if self.folds and self.test:
            raise UsageError("Folds test every case of DATA: leave --test or --folds out.")
        if self.folds != len(read_folds(self.out)) and self.out.is_dir() and any(self.out.iterdir()):
            raise UsageError(f"{self.out} was begun with another number of folds: name another --out folder.")
        splits = self._fold_splits() if self.folds else (None,)
        yield from zip(fold_folders(self.folder(system, seed), self.folds), splits, strict=True)

    def _fold_splits(self) -> tuple[Split, ...]:
        """The splits of the folds: those kept, or drawn by the lesion volumes of all cases, which are read for that."""
        if kept := read_folds(self.out):
            return kept
        cases = find_cases(self.data)
        volumes = {ref.name: read_prepared(ref, self.config, self.cache).facts.lesion_ml for ref in cases}
        patients = read_patients(self.patients) if self.patients else None
        share, seed = self.config.validation_share, self.config.split_seed
        splits = fold_splits(volumes, patients, folds=self.folds, share=share, seed=seed)
        self.out.mkdir(parents=True, exist_ok=True)
        write_folds(self.out, splits)
        return splits

    def _of(self, names: Sequence[str]) -> list[CaseRef]:
        return [case for case in find_cases(self.data) if case.name in names]
