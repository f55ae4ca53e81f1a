"""Board: what the page shows, as JSON; texts in it are of any origin, and shown as text alone."""

import json
import threading
import time
from collections import defaultdict
from dataclasses import asdict
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.runtime.report.writers import REPORT
from ctpdeploy.service.node.ledger import Delivery, Result, Study
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.page.throughput import throughput

__all__ = ["Board"]

_MOST_STUDIES: Final = 100

_FRESH: Final = 0.5
"""Seconds for which all who look see the same."""


class Board:
    """The board of a node, for all threads.

    Args:
        subject: of it.
        changeable: whether a person may try again from the page.
    """

    def __init__(self, subject: Subject, *, changeable: bool) -> None:
        self._subject, self._changeable = subject, changeable
        self._lock, self._made = threading.Lock(), -_FRESH
        self._content = b"", ""

    def content(self) -> tuple[bytes, str]:
        """What there is to show now as JSON, and a tag that is another one whenever that is."""
        with self._lock:
            if time.monotonic() - self._made >= _FRESH:
                content = json.dumps(self._look(), allow_nan=False).encode()
                self._content = content, f'"{sha256(content).hexdigest()[:16]}"'
                self._made = time.monotonic()
            return self._content

    def _look(self) -> dict[str, Any]:
        subject, ledger = self._subject, self._subject.ledger
        studies = ledger.studies()
        results, deliveries = ledger.results(), ledger.deliveries()
        results_of: dict[str, list[Result]] = defaultdict(list)
        deliveries_of: dict[str, list[Delivery]] = defaultdict(list)
        for result in results:
            results_of[result.study].append(result)
        for delivery in deliveries:
            deliveries_of[delivery.result].append(delivery)
        shown = studies[::-1][:_MOST_STUDIES]
        return {
            "intended_use": INTENDED_USE,
            "title": subject.title,
            "version": __version__,
            "bundle": subject.bundle,
            "backend": subject.backend,
            "faults": subject.faults(),
            "changeable": self._changeable,
            "disk": {"free": _rough(subject.free()), "used": _rough(subject.used())},
            "throughput": throughput(studies, results, deliveries, now=ledger.now()),
            "hidden": len(studies) - len(shown),
            "studies": [self._study(study, results_of[study.key], deliveries_of) for study in shown],
        }

    def _study(self, study: Study, results: list[Result], deliveries: dict[str, list[Delivery]]) -> dict[str, Any]:
        return {
            **asdict(study),
            "results": [
                {
                    "name": result.name,
                    "version": result.version,
                    "images": result.images,
                    "made": result.made,
                    **_report(self._subject.results / result.name / REPORT, result.digest),
                    "deliveries": [asdict(one) for one in deliveries[result.name]],
                }
                for result in results
            ],
        }


def _report(file: Path, digest: str) -> dict[str, Any]:
    try:
        return _read(file, digest)
    except (OSError, ValueError, KeyError, TypeError):  # removed meanwhile, or changed by a person
        return {"volume_ml": None, "notices": [], "findings": []}


@lru_cache(maxsize=1000)
def _read(file: Path, digest: str) -> dict[str, Any]:  # noqa: ARG001  another digest is another report
    """What of a report is shown: the volume, the notices and the findings."""
    report = json.loads(file.read_text(encoding="utf-8"))
    return {
        "volume_ml": report["lesion"]["volume_ml"],
        "notices": report["notices"],
        "findings": [{key: one[key] for key in ("severity", "sentence")} for one in report["findings"]],
    }


def _rough(size: int) -> float:
    """Bytes to a tenth of a GB, so that what is shown does not change all the time."""
    return round(size / 1e8) * 1e8
