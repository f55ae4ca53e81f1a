"""Retention: how long a node keeps what is settled, by age and by size."""

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final

from ctpdeploy.runtime.cohort.places import EARLIER
from ctpdeploy.service.node.events import Act, Event, Note, nobody_notes
from ctpdeploy.service.node.ledger import DeliveryState, Ledger, Study, StudyState
from ctpdeploy.service.node.settings import RetentionConfig
from ctpdeploy.service.node.spool import Spool

__all__ = ["Retention", "purge"]

_log = logging.getLogger(__package__)

_DAY, _GB = 86400.0, 1e9

_SETTLED: Final = (StudyState.DONE, StudyState.NO_SCAN)


class Retention:
    """What removes settled studies.

    Args:
        config: how long they are kept.
        spool: of the node.
        ledger: of the node.
        results: folder of results.
        guard: held while a study is removed, so that no image comes to it.
        clock: s since 1970.
        note: takes down what happens.

    Attributes:
        used: bytes of images and results, when it last looked.
    """

    def __init__(
        self,
        config: RetentionConfig,
        spool: Spool,
        ledger: Ledger,
        results: Path,
        *,
        guard: AbstractContextManager[object] | None = None,
        clock: Callable[[], float] = time.time,
        note: Note = nobody_notes,
    ) -> None:
        self._config, self._spool, self._ledger, self._results, self._clock = config, spool, ledger, results, clock
        self._guard, self._note = guard or nullcontext(), note
        self.used = 0

    def apply(self) -> list[str]:
        """Remove what is too old or too much; what failed or waits is never removed.

        Returns:
            Keys of the studies removed.
        """
        settled = [study for study in self._ledger.studies(*_SETTLED) if self._is_delivered(study)]
        settled.sort(key=self._last)
        removed = [one for one in settled if self._last(one) < self._clock() - self._config.days * _DAY]
        kept = settled[len(removed) :]
        total = sum(map(self._size, kept)) + sum(
            self._size(study) for study in self._ledger.studies() if study.key not in {one.key for one in settled}
        )
        while kept and total > self._config.gigabytes * _GB:
            total -= self._size(kept[0])
            removed.append(kept.pop(0))
        self.used = total
        return [study.key for study in removed if self._remove(study)]

    def _remove(self, study: Study) -> bool:
        with self._guard:
            if self._ledger.study(study.key) != study:  # it has grown meanwhile
                return False
            purge(study.key, self._spool, self._ledger, self._results)
        self._note(Event(act=Act.REMOVED, study=study.key))
        return True

    def _is_delivered(self, study: Study) -> bool:
        return all(one.state is DeliveryState.DELIVERED for one in self._ledger.deliveries(study=study.key))

    def _last(self, study: Study) -> float:
        return max([study.changed, *(one.changed for one in self._ledger.deliveries(study=study.key))])

    def _size(self, study: Study) -> int:
        folders = [self._spool.study(study.key), *self._results.glob(f"{study.key}*")]
        return sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())


def purge(key: str, spool: Spool, ledger: Ledger, results: Path) -> None:
    """Remove a study with its images and its results; the ledger forgets it last, so that nothing is left unknown."""
    for folder in (*results.glob(f"{key}*"), *(results / EARLIER).glob(f"{key}*")):
        shutil.rmtree(folder, ignore_errors=True)
    spool.remove(key)
    ledger.remove(key)
    _log.info("study %s: removed", key)
