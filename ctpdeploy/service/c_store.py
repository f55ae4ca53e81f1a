"""C-STORE: objects to a DICOM node, in contexts of their own classes and transfer syntaxes and of no others."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from ctpdeploy.errors import PeerError
from ctpdeploy.service.address import DicomAddress, require_title
from ctpdeploy.service.archive import Outcome, State, TransientError
from ctpdeploy.service.commitment import Commitment, ask_for_commitment
from ctpdeploy.service.connection import SLOWEST, diagnosis
from ctpdeploy.service.instance import Instance, chunks_of
from ctpdeploy.service.pynetdicom_quietly import pynetdicom
from ctpdeploy.service.statuses import outcome_of_status

if TYPE_CHECKING:
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.presentation import PresentationContext

__all__ = ["TITLE", "DicomArchive"]

TITLE: Final = "CTPDEPLOY"
"""AE title by which this machine calls, unless it is told another."""

MOST_CONTEXTS: Final = 128
"""Of an association: their numbers are the odd ones of a byte."""

_REJECTIONS: Final = {
    (1, 3): "does not know the AE title {ours}: register it there, or call by another with --aet",
    (1, 7): "has another AE title: check the one before the @",
}
"""By source and reason (PS3.8, table 9-21)."""


class DicomArchive:
    """A DICOM node.

    Args:
        address: of it.
        title: AE title by which this machine calls.
        tls: how TLS is spoken; None for none.
        timeout: s to wait for a connection, and for the answer to an object when it has been sent.

    Raises:
        MissingPackageError: pynetdicom is not installed.
        UsageError: the title is none.
    """

    def __init__(
        self, address: DicomAddress, *, title: str = TITLE, tls: ssl.SSLContext | None = None, timeout: float = 30.0
    ) -> None:
        pynetdicom()
        self.address = str(address)
        self.title = require_title(title)
        self.protocol = "C-STORE" if tls is None else "C-STORE over TLS"
        self._place, self._context, self._timeout = address, tls, timeout

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        """Send objects, each once, in as few associations as their contexts allow.

        Raises:
            TransientError: no connection, a rejection for now, an abort, or no answer in time.
            PeerError: a rejection for good.
            InputError: a file changed meanwhile.
        """
        from pynetdicom.presentation import build_context

        kinds = list(dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances))
        for start in range(0, len(kinds), MOST_CONTEXTS):
            some = kinds[start : start + MOST_CONTEXTS]
            with self._association([build_context(*kind) for kind in some]) as association:
                accepted = {(one.abstract_syntax, one.transfer_syntax[0]) for one in association.accepted_contexts}
                for one in instances:
                    kind = (one.sop_class, one.transfer_syntax)
                    if kind in accepted:
                        yield self._store(association, one)
                    elif kind in some:
                        yield Outcome(
                            instance=one,
                            state=State.REFUSED,
                            remark="the archive takes no objects of its SOP class in its transfer syntax",
                        )

    def echo(self) -> None:
        """Ask whether it answers and lets this machine in (C-ECHO); nothing is sent.

        Raises:
            TransientError: no connection, a rejection for now, or no answer in time.
            PeerError: a rejection for good, or it does not offer C-ECHO.
        """
        from pynetdicom.presentation import build_context
        from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

        with self._association([build_context(Verification)]) as association:
            if not association.is_established:
                raise PeerError(f"{self.address} lets this machine in, and does not offer C-ECHO: send it a result.")
            answer = association.send_c_echo()
            if answer.get("Status") != 0x0000:
                raise TransientError(
                    f"{self.address} lets this machine in, and does not answer C-ECHO: try again later."
                )

    def commit(self, instances: Sequence[Instance], *, wait: float = 10.0, port: int | None = None) -> Commitment:
        """Ask the archive to take responsibility for objects that it has stored.

        Args:
            instances: stored there.
            wait: s for its report.
            port: on which it is also awaited, where the archive knows this machine by its title and that port; 0 for
                any that is free, None for none.

        Raises:
            UsageError: the port cannot be listened on.
            TransientError: the archive cannot be reached any more.
            PeerError: it rejects this machine.
        """
        return ask_for_commitment(self._entity(), self._association, instances, wait=wait, port=port)

    def _store(self, association: "Association", instance: Instance) -> Outcome:
        # the wait begins when the first byte is sent, so that a large object on a slow line needs more of it
        association.dimse_timeout = self._timeout + instance.bytes / SLOWEST
        broken = TransientError(f"{self.address} ended the association or did not answer in time: try again later.")
        # a copy of what was checked, since the package itself reads the file that it is given, and while it sends
        with TemporaryDirectory(prefix="ctpdeploy-") as folder:
            copy = Path(folder) / "object.dcm"
            with copy.open("wb") as stream:
                stream.writelines(chunks_of(instance))
            try:
                answer = association.send_c_store(copy)
            except RuntimeError as error:  # aborted meanwhile
                raise broken from error
        if "Status" not in answer:
            raise broken
        return outcome_of_status(instance, int(answer.Status))

    def _entity(self) -> "AE":
        from pynetdicom import AE

        entity = AE(ae_title=self.title)
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = self._timeout
        entity.network_timeout = None  # how long nothing may happen is said by the others
        return entity

    @contextmanager
    def _association(
        self, contexts: "list[PresentationContext]", entity: "AE | None" = None
    ) -> "Iterator[Association]":
        """An association with contexts, some of them accepted or none; released at the end, aborted on an error."""
        from pynetdicom import evt

        connected: list[Any] = []
        place = self._place

        def connect(event: Any) -> None:  # noqa: ANN401  of pynetdicom, in its own words
            connected.append(event)
            # a command and its object are small writes, of which the second would wait for the first to be acknowledged
            event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        try:
            association = (entity or self._entity()).associate(
                place.host,
                place.port,
                contexts=contexts,
                ae_title=place.title,
                tls_args=(self._context, place.host) if self._context else None,
                evt_handlers=[(evt.EVT_CONN_OPEN, connect)],
            )
        except OSError as error:  # its name stands for no machine
            raise diagnosis(place.host, place.port, self.address, self._context, self._timeout) from error
        if association.is_rejected:
            raise self._rejection(association)
        if not connected:
            raise diagnosis(place.host, place.port, self.address, self._context, self._timeout)
        none_accepted = bool(association.rejected_contexts) and not association.accepted_contexts
        if not association.is_established and not none_accepted:
            raise TransientError(
                f"{self.address} takes the connection and answers no association: check that it is a DICOM port, with "
                "or without TLS as given."
            )
        try:
            yield association
        except BaseException:
            association.abort()
            raise
        if association.is_established:
            association.release()

    def _rejection(self, association: "Association") -> PeerError:
        answer = association.acceptor.primitive
        result, source, reason = (getattr(answer, name) for name in ("result", "result_source", "diagnostic"))
        if words := _REJECTIONS.get((source, reason)):
            return PeerError(f"{self.address} {words.format(ours=self.title)}.")
        kind = PeerError if result == 1 else TransientError
        return kind(f"{self.address} rejects the association (source {source}, reason {reason}): ask whoever runs it.")
