"""Archive: whoever objects are sent to, whatever is spoken there, and what it says of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ctpdeploy.errors import PeerError
from ctpdeploy.service.instance import Instance

__all__ = ["Archive", "Outcome", "State", "TransientError"]


class State(StrEnum):
    """What became of an object."""

    STORED = "stored"
    REFUSED = "refused"
    UNSENT = "unsent"


class TransientError(PeerError):
    """Nothing more can be sent now, and may be later."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an archive said of one object.

    Attributes:
        instance: the object.
        state: what became of it.
        status: the archive's own code: four hexadecimal digits, ``HTTP 409``, or empty where it said nothing.
        remark: a warning or the reason, in words of our own; empty where all is well.
        transient: it was refused, and may be taken later.
    """

    instance: Instance
    state: State
    status: str = ""
    remark: str = ""
    transient: bool = False


class Archive(Protocol):
    """A way to an archive; nothing is connected while it is not used.

    Attributes:
        address: where it is, as it may be shown and written down.
        protocol: what is spoken there.
    """

    address: str
    protocol: str

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        """Send objects, each once; an outcome for each, in any order, as soon as it is known.

        Raises:
            TransientError: those that have no outcome yet could not be sent, and may be later.
            PeerError: nor then.
            InputError: a file is not what it was.
        """
