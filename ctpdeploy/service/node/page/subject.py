"""Subject: what a page shows of a node."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ctpdeploy.service.node.events import Note
from ctpdeploy.service.node.ledger import Ledger
from ctpdeploy.service.node.tally import Tally

__all__ = ["Subject"]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A node, as its page sees it.

    Attributes:
        title: AE title.
        bundle: name and beginning of the SHA-256 of its networks.
        backend: that runs them.
        ledger: of it.
        results: folder of results.
        tally: since it began.
        note: takes down what a person does.
        free: bytes of its disk that are free.
        used: bytes of images and results.
        received: objects kept since it began.
        faults: why it is not well, a sentence each; none while it is.
    """

    title: str
    bundle: str
    backend: str
    ledger: Ledger
    results: Path
    tally: Tally
    note: Note
    free: Callable[[], int]
    used: Callable[[], int]
    received: Callable[[], int]
    faults: Callable[[], list[str]]
