"""Computation: complete studies, one after the other, to results on the disk; in one thread, which owns the engine."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from ctpdeploy.errors import InputError, UsageError, sentence_of
from ctpdeploy.runtime.cohort.run import infer_cases
from ctpdeploy.runtime.cohort.seal import require_whole
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.report.writers import REPORT
from ctpdeploy.service.address import parse_address
from ctpdeploy.service.node.arrival import Completeness
from ctpdeploy.service.node.events import Act, Event, Note, nobody_notes
from ctpdeploy.service.node.ledger import Ledger, Result, Study, StudyState
from ctpdeploy.service.node.settings import NodeConfig
from ctpdeploy.service.node.spool import Spool

__all__ = ["Computation"]

_log = logging.getLogger(__package__)

_WAITS: Final = (10.0, 60.0, 300.0)
"""Seconds between tries of a study that failed for a reason that may pass."""


class Computation:
    """What turns studies into results.

    Args:
        config: of the node.
        spool: where the instances are.
        ledger: of the node.
        results: folder of results.
        pipeline: opened in the thread that calls ``next``.
        on_result: called when there are new results.
        note: takes down what happens.
    """

    def __init__(
        self,
        config: NodeConfig,
        spool: Spool,
        ledger: Ledger,
        results: Path,
        pipeline: Pipeline,
        *,
        on_result: Callable[[], None] = lambda: None,
        note: Note = nobody_notes,
    ) -> None:
        self._config, self._spool, self._ledger = config, spool, ledger
        self._results, self._pipeline, self._on_result, self._note = results, pipeline, on_result, note
        self._archives = [str(parse_address(archive.address)) for archive in config.archives]

    def next(self) -> bool:
        """Compute a study; whether there was one."""
        study = self._ledger.claim()
        if study is None:
            return False
        try:
            self._compute(study)
        except Exception as error:  # noqa: BLE001  of this study alone
            self._fail(study, error, sentence_of(error))
        return True

    def _compute(self, study: Study) -> None:
        with self._spool.view(study.key) as folder:
            self._compute_in(folder, study)

    def _compute_in(self, folder: Path, study: Study) -> None:
        cases = find_cases(folder) if any(folder.iterdir()) else []
        if not any(case.has_scan for case in cases):
            reason = next((case.fault for case in cases), "None of its objects is an image.")
            self._ledger.fail(study.key, _without(folder, reason), state=StudyState.NO_SCAN)
            self._note(Event(act=Act.NO_SCAN, study=study.key, images=study.images))
            return
        earlier = {result.name: result for result in self._ledger.results(study.key)}
        cases = [
            replace(
                case,
                maps=self._config.maps,
                arrival=study.completeness,
                findings=tuple(_said(study, earlier.get(case.name))),
            )
            for case in cases
        ]
        outcomes = infer_cases(self._pipeline, cases, self._results, resume=True).outcomes
        refused = [one for one in outcomes if one.error is not None]
        if len(refused) == len(outcomes) and (error := refused[0].error):
            self._fail(study, error, _without(folder, refused[0].refusal))
            return
        self._ledger.done(
            study,
            results={one.case: require_whole(self._results / one.case)[REPORT] for one in outcomes if one.report},
            archives=self._archives,
            reason=" ".join(f"{one.case}: {_without(folder, one.refusal)}" for one in refused),
        )
        self._on_result()
        since = self._ledger.now() - study.last
        self._note(Event(act=Act.COMPUTED, study=study.key, images=study.images, since_last_image=since))
        _log.info("study %s: %d results, %d refused", study.key, len(outcomes) - len(refused), len(refused))

    def _fail(self, study: Study, error: Exception, reason: str) -> None:
        again = not isinstance(error, InputError | UsageError) and study.tries <= len(_WAITS)
        if again:
            self._ledger.postpone(study.key, reason, wait=_WAITS[study.tries - 1])
            _log.warning("study %s: try %d failed (%s)", study.key, study.tries, type(error).__name__)
        else:
            self._ledger.fail(study.key, reason)
            _log.warning("study %s: failed (%s)", study.key, type(error).__name__)
        self._note(Event(act=Act.NOT_COMPUTED, study=study.key, images=study.images, tries=study.tries, again=again))


def _without(folder: Path, sentence: str) -> str:
    """A sentence without the place of the view of a study, which is there no more when it is read."""
    return sentence.replace(f"{folder}: ", "").replace(f"{folder}{os.sep}", "")


def _said(study: Study, earlier: Result | None) -> Iterator[Finding]:
    """What the reader of a result is to know of how its images came."""
    if study.completeness == Completeness.QUIET:
        yield finding(
            "arrival-by-silence",
            f"The images could not be counted: {study.images} had come when no more did, and some may be missing.",
        )
    if earlier and earlier.images != study.images:
        yield finding(
            "result-replaced",
            f"This is version {earlier.version + 1}: version {earlier.version} was of {earlier.images} images of the "
            f"study, this is of {study.images}.",
        )
