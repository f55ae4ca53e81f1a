"""Commitment: an archive's word that it keeps what it was sent (Storage Commitment Push Model, PS3.4 annex J).

It is asked in an association of its own. The report comes in the same one, or in one that the archive opens to this
machine, by what it knows of it; until then objects are stored, and nobody has promised to keep them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from ctpdeploy.errors import UsageError
from ctpdeploy.service.instance import Instance

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pynetdicom import AE
    from pynetdicom.association import Association
    from pynetdicom.events import Event

__all__ = ["Commitment", "CommitmentState", "ask_for_commitment"]

_REQUEST, _NO_SUCH_TRANSACTION = 1, 0x0115

_REASONS = {
    0x0110: "processing failed",
    0x0112: "it has no such object",
    0x0119: "the object is of another SOP class",
    0x0122: "it commits to no such objects",
    0x0131: "the transaction is known already",
    0x0213: "out of resources",
}


class CommitmentState(StrEnum):
    """What became of a request."""

    NOT_ASKED = "not asked"
    NOT_OFFERED = "not offered"
    ASKED = "asked"
    COMMITTED = "committed"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """What an archive said.

    Attributes:
        state: of the request. Asked: no report has come in time. Committed: of all objects. Refused: the request, or
            one object at least.
        transaction: UID of the request; empty where none was made.
        remark: why it was refused; empty elsewhere.
        failed: SOP Instance UIDs of objects that the archive does not commit to, and why.
    """

    state: CommitmentState = CommitmentState.NOT_ASKED
    transaction: str = ""
    remark: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)

    def of(self, uid: str) -> CommitmentState:
        """The state of one object: of those in a report that refuses others it is committed."""
        if self.failed:
            return CommitmentState.REFUSED if uid in self.failed else CommitmentState.COMMITTED
        return self.state


def ask_for_commitment(
    entity: "AE",
    association_with: "Callable[..., AbstractContextManager[Association]]",
    instances: Sequence[Instance],
    *,
    wait: float,
    port: int | None,
) -> Commitment:
    """Ask, and wait for the report.

    Args:
        entity: of this machine.
        association_with: opens an association with contexts, by an entity.
        instances: that the archive has stored.
        wait: s for the report.
        port: on which it is awaited too; 0 for any that is free, None for none.

    Raises:
        UsageError: the port cannot be listened on.
        PeerError: the archive cannot be reached or rejects this machine.
    """
    from pydicom.uid import generate_uid
    from pynetdicom import evt
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]
    from pynetdicom.sop_class import StorageCommitmentPushModelInstance as WellKnown

    transaction = str(generate_uid())
    reports: Queue[Dataset] = Queue()

    def receive(event: "Event") -> tuple[int, None]:
        report = event.event_information
        if report.get("TransactionUID") != transaction:
            return _NO_SUCH_TRANSACTION, None
        reports.put(report)
        return 0x0000, None

    handlers: Any = [(evt.EVT_N_EVENT_REPORT, receive)]
    server = None
    if port is not None:
        # whoever opens an association is the user of a service; here it may be the archive, which provides this one
        entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        try:
            server = entity.start_server(("", port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise UsageError(
                f"Port {port} cannot be listened on ({error.strerror}): name another by --commit-port."
            ) from error
    try:
        with association_with([build_context(StorageCommitmentPushModel)], entity) as association:
            if not association.is_established:
                return Commitment(state=CommitmentState.NOT_OFFERED)
            for handler in handlers:
                association.bind(*handler)
            answer, _ = association.send_n_action(
                _request(transaction, instances),
                _REQUEST,
                StorageCommitmentPushModel,
                WellKnown,
            )
            if "Status" not in answer:
                return Commitment(state=CommitmentState.REFUSED, transaction=transaction, remark="no answer came")
            if answer.Status:
                reason = _in_words(answer.Status)
                return Commitment(state=CommitmentState.REFUSED, transaction=transaction, remark=reason)
            listening = server is not None
            report = _first(reports, wait, lambda: listening or association.is_established)
            return _judge(report, transaction, instances)
    finally:
        if server is not None:
            server.shutdown()


def _first(reports: "Queue[Dataset]", wait: float, may_come: Callable[[], bool]) -> "Dataset | None":
    """The report, or None where none has come in time or by no way can any more."""
    end = time.monotonic() + wait
    while True:
        possible = may_come()  # asked before looking: what came before the way closed is there
        try:
            return reports.get(timeout=min(0.05, max(end - time.monotonic(), 0.001)))
        except Empty:
            if not possible or time.monotonic() >= end:
                return None


def _judge(report: "Dataset | None", transaction: str, instances: Sequence[Instance]) -> Commitment:
    if report is None:
        return Commitment(state=CommitmentState.ASKED, transaction=transaction)
    kept = {str(item.get("ReferencedSOPInstanceUID")) for item in report.get("ReferencedSOPSequence") or ()}
    reasons = {
        str(item.get("ReferencedSOPInstanceUID")): _in_words(int(item.get("FailureReason", 0x0110)))
        for item in report.get("FailedSOPSequence") or ()
    }
    failed = {
        one.uid: reasons.get(one.uid, "its report does not name the object")
        for one in instances
        if one.uid in reasons or one.uid not in kept
    }
    if not failed:
        return Commitment(state=CommitmentState.COMMITTED, transaction=transaction)
    remark = "; ".join(dict.fromkeys(failed.values()))
    return Commitment(state=CommitmentState.REFUSED, transaction=transaction, remark=remark, failed=failed)


def _request(transaction: str, instances: Sequence[Instance]) -> "Dataset":
    from pydicom.dataset import Dataset

    request, items = Dataset(), []
    for one in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.sop_class, one.uid
        items.append(item)
    request.TransactionUID, request.ReferencedSOPSequence = transaction, items
    return request


def _in_words(status: int) -> str:
    return f"{_REASONS.get(status, 'refused')} ({status:04x})"
