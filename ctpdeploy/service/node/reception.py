"""Reception: instances into the spool, and studies that have come completely into the ledger.

It is what every way in leads to. An instance is on the disk before it is answered for; images of a study that are of
two patients fail the study, since nobody can know whose the result would be.
"""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from ctpdeploy.errors import CtpdeployError, InputError
from ctpdeploy.runtime.dicom.header import Header
from ctpdeploy.runtime.dicom.tags import Tag
from ctpdeploy.service.node.arrival import Arrival
from ctpdeploy.service.node.events import Act, Event, Note, Peer, nobody_notes
from ctpdeploy.service.node.ledger import Ledger, StudyState
from ctpdeploy.service.node.settings import NodeConfig
from ctpdeploy.service.node.spool import Kept, Received, Spool

__all__ = ["FullError", "OtherInstanceError", "Reception"]

_log = logging.getLogger(__package__)

_MB: Final = 2**20

_TWO_PATIENTS: Final = (
    "Its images name two patients, and nobody can know whose the result would be: correct the study at its source, "
    "remove it here by ctpdeploy node purge, and send it again."
)


class FullError(CtpdeployError):
    """There is no room for more."""


class OtherInstanceError(InputError):
    """Another object of the same UID is here already."""


class Reception:
    """The reception of a node, for all threads.

    Args:
        config: of the node.
        spool: where instances are kept.
        ledger: of the node.
        on_complete: called when a study is complete.
        clock: s, that only goes forward.
        note: takes down what happens.

    Attributes:
        received: objects kept since it was made, each once.
        lock: held while an instance gets its place.
    """

    def __init__(
        self,
        config: NodeConfig,
        spool: Spool,
        ledger: Ledger,
        *,
        on_complete: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        note: Note = nobody_notes,
    ) -> None:
        self._config, self._spool, self._ledger, self._clock = config, spool, ledger, clock
        self._on_complete, self._note = on_complete, note
        self.received = 0
        self.lock = threading.Lock()
        self._arrivals: dict[str, Arrival] = {}

    def recover(self) -> None:
        """Take up what a node that was killed had received."""
        for received in self._spool.recover():
            self._spool.keep(received)
        known = {study.key: study for study in self._ledger.studies()}
        for key in self._spool.studies():
            study = known.get(key)
            grew = study is not None and study.images and len(self._spool.images(key)) > study.images
            if study is None or study.state is StudyState.RECEIVING or grew:
                self._ledger.receive(key)
                self._arrivals[key] = self._arrived(key)

    def take(self, content: bytes, *, sender: Hashable, instance: str = "", peer: Peer | None = None) -> None:
        """Keep an instance.

        Args:
            content: of a DICOM file.
            sender: the connection that it comes by.
            instance: its SOP Instance UID, where the sender has named it beside the object.
            peer: who the sender is.

        Raises:
            InputError: it is no object of a series, or of another UID than its sender says.
            OtherInstanceError: another of its UID is here.
            FullError: the disk is nearly full, or the study has more instances than any scan.
            OSError: it cannot be written.
        """
        if self._spool.free() < len(content) + self._config.limits.free_mb * _MB:
            raise FullError("The disk of this node is nearly full.")
        received = self._spool.receive(content)
        try:
            if instance and received.header.text(Tag.SOP_INSTANCE) != instance:
                raise InputError("The object has another UID than its sender says.")
            self._keep(received, sender, peer)
        finally:
            self._spool.discard(received)

    def leave(self, sender: Hashable) -> None:
        """A connection is closed."""
        with self.lock:
            for arrival in self._arrivals.values():
                arrival.leave(sender)

    def settle(self) -> float:
        """Enter studies that are complete now into the ledger.

        Returns:
            Seconds after which it is worth looking again.
        """
        with self.lock:
            for key, arrival in list(self._arrivals.items()):
                if completion := arrival.complete(self._clock()):
                    del self._arrivals[key]
                    if len(arrival.patients) > 1:
                        self._ledger.refuse(key, _TWO_PATIENTS)
                        self._note(Event(act=Act.NOT_COMPUTED, study=key, images=arrival.images))
                    else:
                        self._ledger.complete(
                            key,
                            images=arrival.images,
                            completeness=completion.completeness,
                            hold=completion.hold,
                            ago=self._clock() - arrival.last,
                        )
                        self._note(Event(act=Act.COMPLETE, study=key, images=arrival.images))
                    _log.info("study %s: %d images have come (%s)", key, arrival.images, completion.completeness)
                    self._on_complete()
            return 0.05 if self._arrivals else 0.5

    @property
    def arriving(self) -> int:
        """Number of studies that are being received."""
        return len(self._arrivals)

    def _arrived(self, key: str, *, but: Header | None = None) -> Arrival:
        """What of a study is in the spool, from senders that have hung up; without one instance."""
        arrival = Arrival(self._config.complete, alone=self._config.maps == "computed")
        left_out = but.text(Tag.SOP_INSTANCE) if but else ""
        for header in self._spool.headers(key):
            if header.text(Tag.SOP_INSTANCE) != left_out:
                arrival.add(header, at=self._clock(), sender=None)
        arrival.leave(None)
        return arrival

    def _keep(self, received: Received, sender: Hashable, peer: Peer | None) -> None:
        key = received.key
        with self.lock:
            arrival = self._arrivals.get(key)
            if arrival and arrival.images >= self._config.limits.study_images:
                raise FullError("The study has more instances than any scan.")
            kept = self._spool.keep(received)
            self.received += kept is Kept.NEW
            if kept is Kept.NEW and (received.is_image or self._ledger.study(key) is None):
                if arrival is None:  # its first, or the first after a result
                    self._ledger.receive(key)
                    arrival = self._arrivals[key] = self._arrived(key, but=received.header)
                    self._note(Event(act=Act.RECEIVING, study=key, peer=peer))
                if received.is_image:
                    arrival.add(received.header, at=self._clock(), sender=sender)
        if kept is Kept.OTHER:
            raise OtherInstanceError("Another object of the same UID is here already.")
