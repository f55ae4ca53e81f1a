"""Audit trail: who did what to which study, and when; a line of JSON for each event in ``FOLDER/audit.jsonl``.

A line has the content of an audit message of DICOM (PS3.15, A.5): event, action, outcome, participants and objects, by
the codes given there. Studies are digests of their UIDs; there are no names of patients. A full file is renamed by its
time and another begun; nothing removes one.
"""

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ctpdeploy.service.node.events import Act, Event

__all__ = ["AUDIT", "Audit"]

_log = logging.getLogger(__package__)

AUDIT: Final = "audit.jsonl"

_FULL: Final = 16 * 2**20
"""Bytes of a file, after which another begins."""

_REFUSALS_EVERY: Final = 60.0
"""Seconds between two lines of refusals of one address, so that nobody fills the disk by being refused."""

_MOST_ADDRESSES: Final = 1000

_APPLICATION, _BEGIN, _ACCESSED, _TRANSFERRED, _DELETED, _ALERT = (
    ("110100", "Application Activity"),
    ("110102", "Begin Transferring DICOM Instances"),
    ("110103", "DICOM Instances Accessed"),
    ("110104", "DICOM Instances Transferred"),
    ("110105", "DICOM Study Deleted"),
    ("110113", "Security Alert"),
)

_MESSAGES: Final[dict[Act, tuple[tuple[str, str], str, int]]] = {
    Act.STARTED: (_APPLICATION, "E", 0),
    Act.STOPPED: (_APPLICATION, "E", 0),
    Act.RECEIVING: (_BEGIN, "E", 0),
    Act.COMPLETE: (_TRANSFERRED, "C", 0),
    Act.COMPUTED: (_ACCESSED, "C", 0),
    Act.NOT_COMPUTED: (_ACCESSED, "R", 8),
    Act.NO_SCAN: (_ACCESSED, "R", 0),
    Act.DELIVERED: (_TRANSFERRED, "R", 0),
    Act.NOT_DELIVERED: (_TRANSFERRED, "R", 8),
    Act.REFUSED: (_ALERT, "E", 4),
    Act.RETRIED: (_ACCESSED, "U", 0),
    Act.REMOVED: (_DELETED, "D", 0),
}
"""Event, action (create, read, update, delete, execute) and outcome (0 success, 4 minor, 8 serious failure)."""

_TYPES: Final = {
    Act.STARTED: ("110120", "Application Start"),
    Act.STOPPED: ("110121", "Application Stop"),
    Act.REFUSED: ("110126", "Node Authentication"),
}

_SOURCE, _DESTINATION = ("110153", "Source Role ID"), ("110152", "Destination Role ID")

_NOBODY_WAITS: Final = set(Act) - {Act.RECEIVING, Act.COMPLETE, Act.REFUSED}
"""What is on the disk when its call returns; a power failure may lose the last lines of the others."""


class Audit:
    """The audit trail of a node, for all threads and for several processes.

    Args:
        folder: of the node.
        title: AE title of the node.
        clock: s since 1970.

    Attributes:
        fault: why the last line could not be written; empty where it was.
    """

    def __init__(self, folder: Path, title: str, *, clock: Callable[[], float] = time.time) -> None:
        self._file, self._title, self._clock = folder / AUDIT, title, clock
        self._lock = threading.Lock()
        self._refused: dict[str, tuple[float, int]] = {}
        self.fault = ""

    def note(self, event: Event) -> None:
        """Write an event down; what cannot be written is logged, and is no reason for a node to stop."""
        try:
            with self._lock:
                now, times = self._clock(), 1
                if event.act is Act.REFUSED and (times := self._refusals(event, now)) == 0:
                    return
                descriptor = self._append(self._message(event, now, times))
            try:
                if event.act in _NOBODY_WAITS:  # nor for the disk here, where the others go on
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self.fault = ""
        except OSError as error:
            self.fault = f"The audit trail {self._file} cannot be written ({error.strerror})."
            _log.error("%s", self.fault)

    def _refusals(self, event: Event, now: float) -> int:
        """How many refusals of an address a line is to speak of; 0 where it is for a later one to say."""
        address = event.peer.address if event.peer else ""
        if len(self._refused) >= _MOST_ADDRESSES:
            self._refused.clear()
        last, held = self._refused.get(address, (-_REFUSALS_EVERY, 0))
        is_time = now - last >= _REFUSALS_EVERY
        self._refused[address] = (now, 0) if is_time else (last, held + 1)
        return held + 1 if is_time else 0

    def _append(self, message: dict[str, Any]) -> int:
        """Write a line; returns the open file."""
        line = json.dumps(message, ensure_ascii=True).encode() + b"\n"
        if self._file.exists() and self._file.stat().st_size + len(line) > _FULL:
            name = f"{datetime.fromtimestamp(self._clock(), UTC):audit-%Y%m%dT%H%M%S.%fZ.jsonl}"
            self._file.rename(self._file.with_name(name))
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _message(self, event: Event, now: float, times: int) -> dict[str, Any]:
        code, action, outcome = _MESSAGES[event.act]
        outcome = 4 if event.again else outcome
        sends = event.act in (Act.DELIVERED, Act.NOT_DELIVERED)
        node = {"user": self._title, "requestor": sends, "role": _coded(_SOURCE if sends else _DESTINATION)}
        participants = [node]
        if event.peer:
            role = _DESTINATION if sends else _SOURCE
            peer = {"user": event.peer.name, "requestor": not sends, "role": _coded(role)}
            participants.append(peer | ({"address": event.peer.address} if event.peer.address else {}))
        return {
            "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds"),
            "what": event.act.value,
            "event": _coded(code) | {"action": action, "outcome": outcome},
            **({"type": _coded(_TYPES[event.act])} if event.act in _TYPES else {}),
            "source": self._title,
            "participants": participants,
            "objects": [{"study_digest": event.study}] if event.study else [],
            **({"images": event.images} if event.images else {}),
            **({"tries": event.tries} if event.tries else {}),
            **({"times": times} if times > 1 else {}),
        }


def _coded(code: tuple[str, str]) -> dict[str, Any]:
    return {"code": code[0], "scheme": "DCM", "meaning": code[1]}
