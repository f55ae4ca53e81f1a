"""Delivery: objects sent to an archive until each is stored, refused for good, or given up."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service.archive import Archive, Outcome, State, TransientError
from ctpdeploy.service.instance import Instance

__all__ = ["Patience", "send"]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often what may go well later is tried.

    Attributes:
        tries: in all, 1 or more; counted anew when an object was stored or refused for good.
        first_wait: s after the first; doubled after each, up to a minute.

    Raises:
        UsageError: it is not even once.
    """

    tries: int = 4
    first_wait: float = 1.0

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise UsageError("An object is sent once at least: give --tries of 1 or more.")

    def waits(self) -> Iterator[float]:
        """Seconds between tries."""
        for number in range(self.tries - 1):
            yield min(self.first_wait * 2**number, 60.0)


def send(
    archive: Archive,
    instances: Sequence[Instance],
    *,
    patience: Patience | None = None,
    on_outcome: Callable[[Outcome], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Outcome]:
    """Send objects; what is stored there already is sent again, which changes nothing.

    Args:
        archive: to which.
        instances: of different UIDs.
        patience: None for the usual.
        on_outcome: called with each outcome that stands.
        sleep: waits for some seconds.

    Returns:
        An outcome for each, in their order.

    Raises:
        PeerError: nothing could be said of any of them.
        InputError: a file changed meanwhile.
    """
    patience = patience or Patience()
    settled: dict[str, Outcome] = {}
    left, waits = list(instances), patience.waits()

    def settle(outcome: Outcome) -> None:
        settled[outcome.instance.uid] = outcome
        if on_outcome:
            on_outcome(outcome)

    while left:
        before, delayed, fault = len(settled), {}, None
        try:
            for outcome in archive.store(left):
                if outcome.transient:
                    delayed[outcome.instance.uid] = outcome
                else:
                    settle(outcome)
        except PeerError as error:
            fault = error
        under_way = [one for one in left if one.uid not in settled and one.uid not in delayed]
        # the one at which it broke goes last, so that it stands in the way of no other
        left = [*under_way[1:], *(one for one in left if one.uid in delayed), *under_way[:1]]
        if len(settled) > before:
            waits = patience.waits()
        wait = None if fault is not None and not isinstance(fault, TransientError) else next(waits, None)
        if left and wait is None:
            if fault is not None and not settled and not delayed:
                raise fault
            for one in left:
                settle(delayed.get(one.uid) or Outcome(instance=one, state=State.UNSENT, remark=str(fault)))
            break
        if left and wait is not None:
            sleep(wait)
    return [settled[one.uid] for one in instances]
