"""A node as its page sees it, without one: a ledger, results and figures that stand still."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctpdeploy.service.node.events import Event
from ctpdeploy.service.node.ledger import DeliveryState, Ledger
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.tally import Tally

PACS = "PACS@10.0.0.5:104"
HOSTILE = '<img src=x onerror="document.title=1">'


class Scene:
    """A subject whose clock, faults and notes are in hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000.0
        self.notes: list[Event] = []
        self.faults: list[str] = []
        self.results = folder / "results"
        self.ledger = Ledger(folder / "ledger.sqlite", clock=lambda: self.now)
        self.tally = Tally()
        self.subject = Subject(
            title="CTPDEPLOY",
            bundle="x.ctpbundle 000000000000",
            backend="ort-cpu on CPU",
            ledger=self.ledger,
            results=self.results,
            tally=self.tally,
            note=self.notes.append,
            free=lambda: 12_345_678_901,
            used=lambda: 5_000_000_000,
            received=lambda: 40,
            faults=lambda: self.faults,
        )

    def study(self, key: str, *, seconds: float = 10.0, reason: str = "") -> None:
        """A study with a result after some seconds, refused by its archive for a reason or delivered 5 s later."""
        self.ledger.receive(key)
        self.now += 30
        self.ledger.complete(key, images=40, completeness="full grid")
        study = self.ledger.claim()
        assert study
        self.now += seconds
        self.write(key)
        self.ledger.done(study, results={key: f"digest of {key}"}, archives=[PACS])
        self.now += 5
        delivery = self.ledger.due(PACS)
        assert delivery
        self.ledger.settle(delivery, DeliveryState.FAILED if reason else DeliveryState.DELIVERED, reason)

    def write(self, name: str, **values: Any) -> None:
        folder = self.results / name
        folder.mkdir(parents=True)
        finding = {"code": "maps-computed", "severity": "note", "sentence": f"Maps were computed. {HOSTILE}"}
        report = {"lesion": {"volume_ml": 12.345}, "notices": ["Research use only."], "findings": [finding], **values}
        (folder / "report.json").write_text(json.dumps(report))
        (folder / "overview.png").write_bytes(b"\x89PNG of " + name.encode())
        (folder / "mask.nii.gz").write_bytes(b"a mask")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.ledger.close()
