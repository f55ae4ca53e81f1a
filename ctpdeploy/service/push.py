"""Push: the results of cases to an archive, one after the other, with a receipt beside each."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ctpdeploy.atomic import require_writable
from ctpdeploy.errors import CtpdeployError, InputError, PeerError, UsageError, sentence_of
from ctpdeploy.service.archive import Archive, Outcome, State
from ctpdeploy.service.commitment import Commitment, CommitmentState
from ctpdeploy.service.delivery import Patience, send
from ctpdeploy.service.instance import Instance
from ctpdeploy.service.receipt import Delivery, changed, deliveries_in, keep, now
from ctpdeploy.service.results import Result, open_result

__all__ = ["Push", "push_results"]

_log = logging.getLogger(__package__)


@dataclass(frozen=True, kw_only=True)
class Push:
    """What became of each case, by its name.

    Attributes:
        deliveries: of cases of which something was sent.
        refused: errors of cases of which nothing was sent.
        without_dicom: cases that have no DICOM objects, or none of those that were asked for.
        commitment: of the archive to all that it stored.
    """

    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    refused: Mapping[str, Exception] = field(default_factory=dict)
    without_dicom: Sequence[str] = ()
    commitment: Commitment = field(default_factory=Commitment)

    @property
    def failures(self) -> dict[str, str]:
        """Why a case is not at the archive, whole and kept, in a sentence, by its name."""
        found = {name: sentence_of(error) for name, error in self.refused.items()}
        for name, one in self.deliveries.items():
            if one.failed:
                reasons = "; ".join(dict.fromkeys(_reason(outcome) for outcome in one.failed))
                total = len(one.outcomes)
                found[name] = f"{len(one.failed)} of {total} objects are not in {one.to} ({reasons}): push it again."
            elif lost := [out for out in one.outcomes if out.instance.uid in self.commitment.failed]:
                found[name] = (
                    f"{one.to} does not commit to {len(lost)} of {len(one.outcomes)} objects that it stored "
                    f"({self.commitment.remark}): ask whoever runs it."
                )
        return found


def push_results(
    folders: Sequence[Path],
    archive: Archive,
    *,
    only: Collection[str] | None = None,
    commit: Callable[[Sequence[Instance]], Commitment] | None = None,
    patience: Patience | None = None,
    on_object: Callable[[str, int, int], None] | None = None,
) -> Push:
    """Send the DICOM objects of results that are whole.

    A case that cannot be sent stops no other, unless the archive cannot be reached at all or refuses this machine. The
    receipt of a case is written when its last object is settled, or when an interruption ends it.

    Args:
        folders: of results, as :func:`results_in` finds them.
        archive: to which.
        only: names of the files of objects, without their ending, that are sent, as ``"segmentation"``; None for all.
        commit: asks it, when all is sent, to keep what it has stored, as ``DicomArchive.commit``; None to ask nothing.
        patience: with what may go well later; None for the usual.
        on_object: called with the name of the case, and how many of how many objects of it are settled.

    Raises:
        MissingPackageError: pynetdicom is not installed.
    """
    deliveries: dict[str, Delivery] = {}
    refused: dict[str, Exception] = {}
    without: list[str] = []
    gone: PeerError | None = None
    for number, folder in enumerate(folders, start=1):
        name = folder.name
        try:
            if gone is not None:
                raise gone
            result = open_result(folder, only=only)
            if not result.instances:
                without.append(name)
                continue
            deliveries[name] = _deliver(result, archive, patience, on_object)
        except PeerError as error:
            gone = refused[name] = error
        except (InputError, UsageError) as error:
            refused[name] = error
        done = deliveries.get(name)
        words = f"{len(done.stored)} of {len(done.outcomes)} objects stored" if done else "refused"
        _log.info("case %d of %d: %s, %s", number, len(folders), words, archive.protocol)
    stored = [out.instance for one in deliveries.values() for out in one.stored]
    commitment = Commitment()
    if commit is not None and stored:
        commitment = _commitment(commit, stored)
        for folder in folders:
            if folder.name in deliveries and deliveries[folder.name].stored:
                deliveries[folder.name] = deliveries[folder.name].with_commitment(commitment)
                keep(folder, deliveries[folder.name])
        _log.info("commitment to %d objects: %s", len(stored), commitment.state)
    return Push(deliveries=deliveries, refused=refused, without_dicom=without, commitment=commitment)


def _deliver(
    result: Result,
    archive: Archive,
    patience: Patience | None,
    on_object: Callable[[str, int, int], None] | None,
) -> Delivery:
    past = deliveries_in(result.folder)
    require_writable(result.folder)  # what is sent without a receipt was sent in silence
    begun, total = now(), len(result.instances)
    settled: dict[str, Outcome] = {}

    def settle(outcome: Outcome) -> None:
        settled[outcome.instance.uid] = outcome
        if on_object:
            on_object(result.folder.name, len(settled), total)

    def delivered() -> Delivery:
        unsent = "the push ended before it"
        outcomes = (
            settled.get(one.uid) or Outcome(instance=one, state=State.UNSENT, remark=unsent) for one in result.instances
        )
        delivery = Delivery(
            to=archive.address,
            protocol=archive.protocol,
            begun=begun,
            ended=now(),
            report_sha256=result.report_sha256,
            outcomes=tuple(outcomes),
            sha256=result.sha256,
            known=changed(past, archive.address, result.sha256),
        )
        keep(result.folder, delivery)
        return delivery

    try:
        send(archive, result.instances, patience=patience, on_outcome=settle)
    except BaseException:
        if settled:
            delivered()
        raise
    return delivered()


def _commitment(commit: Callable[[Sequence[Instance]], Commitment], stored: Sequence[Instance]) -> Commitment:
    try:
        return commit(stored)
    except CtpdeployError as error:  # objects are stored all the same
        return Commitment(state=CommitmentState.NOT_ASKED, remark=str(error))


def _reason(outcome: Outcome) -> str:
    return f"{outcome.remark} ({outcome.status})" if outcome.status else outcome.remark
