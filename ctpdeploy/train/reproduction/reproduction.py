"""A reproduction: rows of the source's tables trained and evaluated on one data set.

::

    OUT/SYSTEM/seed-0/               run folder
    OUT/SYSTEM/seed-0/evaluation/    scores of the test cases
    OUT/table-5.csv                  published beside measured

A system that stands in several tables is trained once. What is there already is not done again; a run that was stopped
is resumed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ctpdeploy.errors import InputError, UnknownKeyError, UsageError
from ctpdeploy.paper.systems import CONTROLS, SYSTEMS, TABLES, system_named
from ctpdeploy.runtime.cohort.evaluation import SUMMARY, evaluate_cases
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.cases import find_cases, take_inventory
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.device import default_device
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.progress import OnProgress
from ctpdeploy.train.reproduction.comparison import Measured, comparison_csv, measure
from ctpdeploy.train.run_folder import RunFolder, open_run
from ctpdeploy.train.settings import TrainConfig
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
        seeds: of the runs of each system; all share one split.
        patients: CSV table ``case,patient``.
        cache: of preprocessed cases.
        device: where to train and to evaluate, as for :func:`ctpdeploy.train.train`.
    """

    data: Path
    out: Path
    config: TrainConfig
    test: Path | None = None
    seeds: Sequence[int] = (0,)
    patients: Path | None = None
    cache: CaseCache | None = None
    device: str | None = None

    def trainable(self, table: int, rows: Sequence[str] = ()) -> tuple[dict[str, str], tuple[str, ...]]:
        """The systems of a table by row, and a sentence for each row that the data cannot train.

        Args:
            table: 1 to 5.
            rows: names of the rows, those of ``CONTROLS`` too; all of the table if none is named.

        Raises:
            InputError: the data cannot be found.
            UsageError: there is no such table or row.
        """
        if table not in TABLES:
            raise UsageError(f"Table {table} has no systems to train: choose one of {', '.join(map(str, TABLES))}.")
        known = TABLES[table] | CONTROLS
        for row in rows:
            if row not in known:
                raise UnknownKeyError(row, known, f"table {table}")
        wanted = {row: system for row, system in known.items() if row in (rows or TABLES[table])}
        lack = take_inventory(find_cases(self.data)).lack("dwi")
        left_out = [row for row, system in wanted.items() if lack and SYSTEMS[system].needs_dwi]
        sentences = tuple(f"{lack}: row {row} is left out." for row in left_out)
        return {row: system for row, system in wanted.items() if row not in left_out}, sentences

    def run(
        self,
        system: str,
        seed: int,
        *,
        on_progress: OnProgress | None = None,
        on_case: Callable[[int, int], None] | None = None,
    ) -> None:
        """Train and evaluate a system, as far as that is still to do.

        Args:
            system: its name.
            seed: of initial weights and the order of slices.
            on_progress: called at every step of the training.
            on_case: called with the number of test cases scored and of all.

        Raises:
            InputError, UsageError, GuardError: as :func:`ctpdeploy.train.train` and
                :func:`ctpdeploy.runtime.cohort.evaluation.evaluate_cases`.
        """
        folder = self.folder(system, seed)
        config = self.run_config(system, seed)
        run = RunFolder(folder)
        if self.summary(system, seed) is not None:
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
            on_progress=on_progress,
            device=device,
            cache=self.cache,
        )
        tested = find_cases(self.test) if self.test else self._of(summary.split.test)
        scores = evaluate_cases(open_run(folder, device=device), tested, folder / "evaluation", on_case=on_case)
        for name, reason in scores["refused"].items():  # a row is of all test cases, or of none
            raise InputError(f"The test case {name} cannot be scored. {reason}")
        for name in scores["known"]:
            raise InputError(f"The test case {name} is a scan that {folder} has seen in training: leave one out.")

    def run_config(self, system: str, seed: int) -> TrainConfig:
        """The configuration of a run."""
        config = replace(self.config, system=system, seed=seed)
        if self.test is None and config.test_share == 0.0:
            config = replace(config, validation_share=VALIDATION_SHARE, test_share=TEST_SHARE)
        return config

    def folder(self, system: str, seed: int) -> Path:
        """The run folder of a system and a seed."""
        return self.out / system / f"seed-{seed}"

    def summary(self, system: str, seed: int) -> dict[str, Any] | None:
        """Summary of the evaluation of a run; None if it is not evaluated yet, not in all cases, or in known ones."""
        file = self.folder(system, seed) / "evaluation" / SUMMARY
        summary = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        return None if summary is None or summary.get("refused") or summary.get("known") else summary

    def measured(self, table: int) -> dict[str, Measured]:
        """Measured rows of a table, from its finished runs; also written to ``table-N.csv``."""
        found = {}
        for row, system in TABLES[table].items():
            summaries = [summary for seed in self.seeds if (summary := self.summary(system, seed)) is not None]
            if summaries:
                with torch.device("meta"):  # counted, not made
                    chain = make_chain(system_named(system), self.run_config(system, self.seeds[0]))
                weights = sum(p.numel() for p in chain.get_submodule("segmenter").parameters())
                found[row] = measure(table, summaries, weights)
        (self.out / f"table-{table}.csv").write_text(comparison_csv(table, found), encoding="utf-8")
        return found

    def _of(self, names: Sequence[str]) -> list[CaseRef]:
        return [case for case in find_cases(self.data) if case.name in names]
