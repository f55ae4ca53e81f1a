"""Throughput: how many studies come to a result, and how long that takes, by the times in the ledger."""

from collections.abc import Sequence
from statistics import median
from typing import Final

from ctpdeploy.service.node.ledger import Delivery, DeliveryState, Result, Study

__all__ = ["throughput"]

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR


def throughput(
    studies: Sequence[Study], results: Sequence[Result], deliveries: Sequence[Delivery], *, now: float
) -> dict[str, float | int | None]:
    """Figures of the last 24 hours.

    Args:
        studies: of the node.
        results: of them.
        deliveries: of these.
        now: s since 1970.

    Returns:
        ``last_hour`` and ``last_day``, studies with a result made in that time; ``to_result_s`` and ``to_delivery_s``,
        medians from the last image on, None where there was none.
    """
    last = {study.key: study.last for study in studies}
    study_of = {result.name: result.study for result in results}
    made = [result for result in results if now - result.made < _DAY]
    delivered = [one for one in deliveries if one.state is DeliveryState.DELIVERED and now - one.changed < _DAY]
    return {
        "last_hour": len({result.study for result in made if now - result.made < _HOUR}),
        "last_day": len({result.study for result in made}),
        "to_result_s": _median([one.made - last[one.study] for one in made if one.study in last]),
        "to_delivery_s": _median(
            [one.changed - last[study_of[one.result]] for one in delivered if one.result in study_of]
        ),
    }


def _median(seconds: list[float]) -> float | None:
    """Of times after the last image; a result that is older than its study's last image is of fewer."""
    after = [one for one in seconds if one >= 0]
    return round(median(after), 3) if after else None
