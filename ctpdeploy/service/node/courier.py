"""Courier: results to one archive, one after the other, again and again until each is there or needs a person."""

import logging
from pathlib import Path
from typing import Final

from ctpdeploy.service.archive import Archive, TransientError
from ctpdeploy.service.delivery import Patience
from ctpdeploy.service.node.events import Act, Event, Note, Peer, nobody_notes
from ctpdeploy.service.node.ledger import Delivery, DeliveryState, Ledger
from ctpdeploy.service.node.settings import ArchiveConfig
from ctpdeploy.service.push import push_results

__all__ = ["Courier"]

_log = logging.getLogger(__package__)

_FIRST_WAIT, _LONGEST_WAIT = 2.0, 600.0
"""Seconds after a try that may go well later; doubled each time up to the second."""

_DAY: Final = 86400.0


class Courier:
    """The courier to one archive.

    Args:
        config: of the archive.
        archive: the way to it.
        ledger: of the node.
        results: folder of results.
        note: takes down what happens.

    Attributes:
        address: of the archive.
    """

    def __init__(
        self, config: ArchiveConfig, archive: Archive, ledger: Ledger, results: Path, *, note: Note = nobody_notes
    ) -> None:
        self._config, self._archive, self._ledger, self._results = config, archive, ledger, results
        self._note = note
        self.address = archive.address

    def next(self) -> bool:
        """Try to deliver a result; whether there was one."""
        delivery = self._ledger.due(self.address)
        if delivery is None:
            return False
        try:
            reason, may_pass = self._push(delivery)
        except Exception as error:  # noqa: BLE001  of this result alone
            reason, may_pass = f"Unexpected {type(error).__name__} ({error}).", False
        again = may_pass and self._ledger.now() - delivery.made < self._config.give_up_days * _DAY
        if not reason:
            self._ledger.settle(delivery, DeliveryState.DELIVERED)
        elif again:
            wait = min(_FIRST_WAIT * 2 ** min(delivery.tries, 20), _LONGEST_WAIT)
            self._ledger.settle(delivery, DeliveryState.WAITING, reason, wait=wait)
        else:
            self._ledger.settle(delivery, DeliveryState.FAILED, reason)
        _log.log(
            logging.WARNING if reason else logging.INFO,
            "result %s, version %d: try %d %s", delivery.result, delivery.version, delivery.tries + 1,
            "failed" if reason else "delivered",
        )  # fmt: skip
        self._note(self._event(delivery, delivered=not reason, again=again))
        return True

    def _event(self, delivery: Delivery, *, delivered: bool, again: bool) -> Event:
        result = self._ledger.result(delivery.result)
        study = self._ledger.study(result.study) if result else None
        return Event(
            act=Act.DELIVERED if delivered else Act.NOT_DELIVERED,
            study=study.key if study else "",
            peer=Peer(self.address),
            tries=delivery.tries + 1,
            since_last_image=self._ledger.now() - study.last if study and delivered else None,
            again=again and not delivered,
        )

    def _push(self, delivery: Delivery) -> tuple[str, bool]:
        """Why a result is not in the archive, empty where it is, and whether it may be later."""
        folder = self._results / delivery.result
        only = self._config.only or None
        push = push_results([folder], self._archive, only=only, patience=Patience(tries=1))
        if push.without_dicom:
            return "The result has no DICOM objects of those that this archive is sent.", False
        error = push.refused.get(folder.name)
        outcomes = push.deliveries[folder.name].outcomes if folder.name in push.deliveries else ()
        may_pass = isinstance(error, TransientError) or any(one.transient or one.state == "unsent" for one in outcomes)
        return push.failures.get(folder.name, ""), may_pass
