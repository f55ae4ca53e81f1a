"""Ledger: the state of each study, of each result and of each delivery, a row each, in one SQLite file.

Every change is one transaction that has reached the disk when its call returns. What a node that was killed was in the
middle of is found in its state when the ledger is opened again.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from ctpdeploy.errors import InputError

__all__ = ["Delivery", "DeliveryState", "Ledger", "Result", "Study", "StudyState"]

_SCHEMA: Final = 1

_MOST_ENDS: Final = 10
"""Times that a node may end while it computes a study; it is a person's then."""


_TABLES: Final = """
CREATE TABLE study (
  key TEXT PRIMARY KEY, state TEXT NOT NULL, images INTEGER NOT NULL DEFAULT 0,
  completeness TEXT NOT NULL DEFAULT '', hold REAL NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0,
  due REAL NOT NULL DEFAULT 0, reason TEXT NOT NULL DEFAULT '', received REAL NOT NULL, last REAL NOT NULL DEFAULT 0,
  changed REAL NOT NULL
) STRICT;
CREATE TABLE result (
  name TEXT PRIMARY KEY, study TEXT NOT NULL REFERENCES study (key) ON DELETE CASCADE, version INTEGER NOT NULL,
  digest TEXT NOT NULL, images INTEGER NOT NULL, made REAL NOT NULL
) STRICT;
CREATE TABLE delivery (
  result TEXT NOT NULL REFERENCES result (name) ON DELETE CASCADE, archive TEXT NOT NULL,
  version INTEGER NOT NULL, state TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '', made REAL NOT NULL, changed REAL NOT NULL,
  PRIMARY KEY (result, archive)
) STRICT;
CREATE INDEX study_state ON study (state, due);
CREATE INDEX delivery_state ON delivery (archive, state, due);
"""


class StudyState(StrEnum):
    """Where a study is on its way."""

    RECEIVING = "receiving"
    COMPLETE = "complete"
    COMPUTING = "computing"
    DONE = "done"
    NO_SCAN = "no scan"
    FAILED = "failed"


class DeliveryState(StrEnum):
    """Where a result is on its way to an archive."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study.

    Attributes:
        key: its name in the node.
        state: where it is.
        images: instances that were there when it was found complete.
        completeness: how it was known to be complete; empty where it is not.
        hold: until when its results may not leave, since more of it may come, s since 1970.
        tries: of computing, since it was complete.
        due: when the next is, s since 1970.
        reason: why it failed, or has no scan.
        received: when its first instance came, s since 1970.
        last: when the last of its images had come; 0 where it is not complete.
        changed: when its state did.
    """

    key: str
    state: StudyState
    images: int
    completeness: str
    hold: float
    tries: int
    due: float
    reason: str
    received: float
    last: float
    changed: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """A result on the disk.

    Attributes:
        name: of the case, and of its folder.
        study: key of its study.
        version: 1, and one more whenever another took its place, as of a study that grew.
        digest: of its report.
        images: instances of the study that it was made of.
        made: when, s since 1970.
    """

    name: str
    study: str
    version: int
    digest: str
    images: int
    made: float


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A result on its way to an archive.

    Attributes:
        result: its name.
        archive: address.
        version: of the result.
        state: where it is.
        tries: so far.
        due: when the next is, s since 1970.
        reason: why the last went wrong.
        made: when the result was there, s since 1970.
        changed: when the state did.
    """

    result: str
    archive: str
    version: int
    state: DeliveryState
    tries: int
    due: float
    reason: str
    made: float
    changed: float


class Ledger:
    """The ledger in a file, for all threads of one node; others may read it.

    Args:
        file: made if it is not there.
        clock: s since 1970.

    Raises:
        InputError: the file is none of a node, or of a later version.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._lock = clock, threading.RLock()
        self._base = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "busy_timeout = 10000"):
                self._base.execute(f"PRAGMA {pragma}")
            with self._transaction():
                (version,) = self._base.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _TABLES.split(";")[:-1]:
                        self._base.execute(statement)
                    self._base.execute(f"PRAGMA user_version = {_SCHEMA}")
        except sqlite3.DatabaseError as error:
            raise InputError(f"{file} is no ledger of a node ({error}): name another folder.") from error
        if version > _SCHEMA:
            raise InputError(f"{file} is of a later version of ctpdeploy: run that, or name another folder.")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def now(self) -> float:
        """The time by the ledger's clock, s since 1970."""
        return self._clock()

    # studies

    def receive(self, key: str) -> None:
        """An instance of a study has come: it is there, and it is being received, whatever it was before.

        Results that have not begun to leave are none any more.
        """
        now = self._clock()
        with self._transaction():
            self._base.execute(
                "DELETE FROM result WHERE study = ? AND name IN (SELECT result FROM delivery) AND NOT EXISTS "
                "(SELECT 1 FROM delivery WHERE result = name AND (tries > 0 OR version > 1 OR due <= ?))",
                (key, now),
            )
            self._base.execute(
                "INSERT INTO study (key, state, received, changed) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (key) DO UPDATE "
                "SET state = ?2, changed = ?3, tries = 0, due = 0, reason = '' WHERE state <> ?2",
                (key, StudyState.RECEIVING, now),
            )

    def complete(self, key: str, *, images: int, completeness: str, hold: float = 0.0, ago: float = 0.0) -> None:
        """A study that was being received is complete.

        Args:
            key: of it.
            images: that it has.
            completeness: how it is known.
            hold: s after which its results may leave.
            ago: s since the last of its images.
        """
        self._study(
            key,
            StudyState.RECEIVING,
            state=StudyState.COMPLETE,
            images=images,
            completeness=completeness,
            hold=self._clock() + hold,
            last=self._clock() - ago,
            tries=0,
            due=0.0,
        )

    def claim(self) -> Study | None:
        """The next study to compute, which is now being computed; None where there is none yet."""
        with self._transaction():
            for study in self.studies(StudyState.COMPLETE):
                if study.due <= self._clock():
                    self._study(study.key, StudyState.COMPLETE, state=StudyState.COMPUTING, tries=study.tries + 1)
                    return self.study(study.key)
        return None

    def done(self, study: Study, *, results: Mapping[str, str], archives: Sequence[str], reason: str = "") -> None:
        """A study has its results; each that is new is to be delivered to each archive.

        If more of the study came meanwhile, nothing changes: it is computed again when that is complete.

        Args:
            study: as it was claimed.
            results: digests of their reports by their names.
            archives: addresses.
            reason: why some of it has no result; empty where all has.
        """
        now = self._clock()
        with self._transaction():
            present = self.study(study.key)
            if present is None or present.state is not StudyState.COMPUTING:
                return
            self._study(study.key, StudyState.COMPUTING, state=StudyState.DONE, reason=reason)
            known = {result.name: result for result in self.results(study.key)}
            for name, digest in results.items():
                earlier = known.get(name)
                if earlier and earlier.digest == digest:
                    continue
                version = earlier.version + 1 if earlier else 1
                self._base.execute(
                    "INSERT INTO result (name, study, version, digest, images, made) VALUES (?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET version = excluded.version, digest = excluded.digest, "
                    "images = excluded.images, made = excluded.made",
                    (name, study.key, version, digest, study.images, now),
                )
                for archive in archives:
                    self._base.execute(
                        "INSERT INTO delivery (result, archive, version, state, due, made, changed) "
                        "VALUES (?, ?, ?, ?, ?, ?6, ?6) ON CONFLICT (result, archive) DO UPDATE SET "
                        "version = excluded.version, state = excluded.state, tries = 0, due = excluded.due, "
                        "reason = '', made = excluded.made, changed = excluded.changed",
                        (name, archive, version, DeliveryState.WAITING, study.hold, now),
                    )

    def fail(self, key: str, reason: str, *, state: StudyState = StudyState.FAILED) -> None:
        """A study that was being computed has no result, and needs a person or nothing."""
        self._study(key, StudyState.COMPUTING, state=state, reason=reason)

    def refuse(self, key: str, reason: str) -> None:
        """A study failed before it was computed."""
        self._study(key, None, state=StudyState.FAILED, reason=reason)

    def postpone(self, key: str, reason: str, *, wait: float) -> None:
        """A study that was being computed is to be tried again after some seconds."""
        due = self._clock() + wait
        self._study(key, StudyState.COMPUTING, state=StudyState.COMPLETE, reason=reason, due=due)

    def remove(self, key: str) -> None:
        """Forget a study and its deliveries."""
        with self._transaction():
            self._base.execute("DELETE FROM study WHERE key = ?", (key,))

    def study(self, key: str) -> Study | None:
        """A study; None where it is not known."""
        return next(iter(self._studies("WHERE key = ?", key)), None)

    def studies(self, *states: StudyState) -> list[Study]:
        """The studies in some states, in all of them if none is named; the longest known first."""
        marks = ", ".join("?" * len(states))
        return self._studies(f"WHERE state IN ({marks}) ORDER BY received" if states else "ORDER BY received", *states)

    # results and deliveries

    def results(self, study: str | None = None) -> list[Result]:
        """The results of a study, or of all."""
        where, parameters = ("ORDER BY name", ()) if study is None else ("WHERE study = ? ORDER BY name", (study,))
        return [Result(**row) for row in self._rows("result", where, parameters)]

    def result(self, name: str) -> Result | None:
        """A result; None where it is not known."""
        return next((Result(**row) for row in self._rows("result", "WHERE name = ?", (name,))), None)

    def due(self, archive: str) -> Delivery | None:
        """The next delivery to an archive whose time has come; None where there is none."""
        found = self._deliveries(
            "WHERE archive = ? AND state = ? AND due <= ? ORDER BY due, made LIMIT 1",
            archive,
            DeliveryState.WAITING,
            self._clock(),
        )
        return found[0] if found else None

    def settle(self, delivery: Delivery, state: DeliveryState, reason: str = "", *, wait: float = 0.0) -> None:
        """What became of a try to deliver; nothing changes where a later version has taken its place."""
        now = self._clock()
        with self._transaction():
            self._base.execute(
                "UPDATE delivery SET state = ?, reason = ?, tries = tries + 1, due = ?, changed = ? "
                "WHERE result = ? AND archive = ? AND version = ?",
                (state, reason, now + wait, now, delivery.result, delivery.archive, delivery.version),
            )

    def deliveries(self, *, study: str | None = None) -> list[Delivery]:
        """The deliveries, of one study or of all, the oldest first."""
        if study is None:
            return self._deliveries("ORDER BY made")
        return self._deliveries("WHERE result IN (SELECT name FROM result WHERE study = ?) ORDER BY made", study)

    def retry(self, key: str) -> bool:
        """Try again at once what failed or waits, of computing and of delivery; whether there was anything."""
        now = self._clock()
        with self._transaction():
            found = self._base.execute(
                "UPDATE study SET state = ?1, tries = 0, due = 0, reason = '', changed = ?2 WHERE key = ?3 AND "
                "(state = ?4 OR (state = ?1 AND due > ?2))",
                (StudyState.COMPLETE, now, key, StudyState.FAILED),
            ).rowcount
            found += self._base.execute(
                "UPDATE delivery SET state = ?1, tries = 0, due = 0, made = ?2, changed = ?2 WHERE state <> ?4 AND "
                "result IN (SELECT name FROM result WHERE study = ?3)",
                (DeliveryState.WAITING, now, key, DeliveryState.DELIVERED),
            ).rowcount
        return bool(found)

    def resume(self) -> None:
        """Take up what a node that was killed was computing, unless it may be the study that kills it."""
        for study in self.studies(StudyState.COMPUTING):
            if study.tries < _MOST_ENDS:
                self._study(study.key, StudyState.COMPUTING, state=StudyState.COMPLETE)
            else:
                reason = f"The node ended {study.tries} times while it computed this study: report it with its images."
                self.fail(study.key, reason)

    def _study(self, key: str, expected: StudyState | None, **values: Any) -> None:  # noqa: ANN401  of its columns
        changes = ", ".join(f"{name} = ?" for name in (*values, "changed"))
        where = " AND state = ?" if expected else ""
        parameters = [*values.values(), self._clock(), key, *([expected] if expected else [])]
        with self._transaction():
            self._base.execute(f"UPDATE study SET {changes} WHERE key = ?{where}", parameters)

    def _studies(self, where: str, *parameters: object) -> list[Study]:
        return [Study(**row | {"state": StudyState(row["state"])}) for row in self._rows("study", where, parameters)]

    def _deliveries(self, where: str, *parameters: object) -> list[Delivery]:
        rows = self._rows("delivery", where, parameters)
        return [Delivery(**row | {"state": DeliveryState(row["state"])}) for row in rows]

    def _rows(self, table: str, where: str, parameters: Sequence[object]) -> Iterator[dict[str, Any]]:
        with self._lock:
            cursor = self._base.execute(f"SELECT * FROM {table} {where}", parameters)
            names = [column[0] for column in cursor.description]
            return iter([dict(zip(names, row, strict=True)) for row in cursor.fetchall()])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing of what is changed in it; within another, a part of that."""
        with self._lock:
            if self._base.in_transaction:
                yield
                return
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")
