"""Events: what happens to studies in a node, for whoever keeps account of it.

None holds a name, a sentence of another machine or anything else by which a patient can be known: a study is the digest
of its UID.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Act", "Event", "Note", "Peer", "nobody_notes"]


class Act(StrEnum):
    """What happened."""

    STARTED = "node started"
    STOPPED = "node stopped"
    RECEIVING = "study receiving"
    COMPLETE = "study complete"
    COMPUTED = "result made"
    NOT_COMPUTED = "result not made"
    NO_SCAN = "study without a scan"
    DELIVERED = "result delivered"
    NOT_DELIVERED = "result not delivered"
    REFUSED = "association refused"
    RETRIED = "study tried again by a person"
    REMOVED = "study removed"


@dataclass(frozen=True)
class Peer:
    """Who sent, was sent to, or asked.

    Attributes:
        name: AE title, address of an archive, or account of a person; empty where it is not known.
        address: IP address; empty where it is not known.
    """

    name: str = ""
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Event:
    """One.

    Attributes:
        act: what happened.
        study: its key; empty where it is about none.
        peer: the other end; None where there is none.
        images: of the study, where they were counted.
        tries: so far, where there may be several.
        since_last_image: s, of a result that was made or delivered.
        again: whether a failure is to be tried again by itself.
    """

    act: Act
    study: str = ""
    peer: Peer | None = None
    images: int = 0
    tries: int = 0
    since_last_image: float | None = None
    again: bool = False


Note = Callable[[Event], None]
"""Takes an event down; raises nothing."""


def nobody_notes(event: Event) -> None:
    """Nobody keeps account of it."""
