"""Receipt: what of a result went to which archive, when, and what became of it.

``receipt.json`` lies beside ``report.json``, outside the seal of the result, and a delivery more is added to those that
it has. Each names its report by its digest, and every object by its UID and its own.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.report.writers import RECEIPT
from ctpdeploy.service.archive import Outcome, State
from ctpdeploy.service.commitment import Commitment

__all__ = ["SCHEMA", "Delivery", "changed", "deliveries_in", "keep", "now"]

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Objects of one result, sent to one archive.

    Attributes:
        to: address of the archive.
        protocol: spoken there.
        begun: when, ISO 8601 in UTC; it is what tells deliveries of a result apart.
        ended: when the last object was settled.
        report_sha256: digest of the result's report.
        outcomes: one an object.
        sha256: digests of the objects by their UIDs.
        known: UIDs of objects that an earlier delivery had in another form.
        commitment: to what is stored.
    """

    to: str
    protocol: str
    begun: str
    ended: str
    report_sha256: str
    outcomes: tuple[Outcome, ...]
    sha256: Mapping[str, str]
    known: frozenset[str] = frozenset()
    commitment: Commitment = field(default_factory=Commitment)

    @property
    def stored(self) -> tuple[Outcome, ...]:
        """Outcomes of the objects that the archive has."""
        return tuple(one for one in self.outcomes if one.state is State.STORED)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Outcomes of the others."""
        return tuple(one for one in self.outcomes if one.state is not State.STORED)

    def with_commitment(self, commitment: Commitment) -> "Delivery":
        """The same, when the archive has been asked."""
        return replace(self, commitment=commitment)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a receipt."""
        word = self.commitment
        return {
            "begun": self.begun,
            "ended": self.ended,
            "ctpdeploy": __version__,
            "to": self.to,
            "protocol": self.protocol,
            "report_sha256": self.report_sha256,
            "objects": [self._object(one) for one in self.outcomes],
            "commitment": {"state": word.state, "transaction_uid": word.transaction, "remark": word.remark},
        }

    def _object(self, outcome: Outcome) -> dict[str, str]:
        uid, kept = outcome.instance.uid, outcome.state is State.STORED
        return {
            "file": f"{outcome.instance.path.parent.name}/{outcome.instance.path.name}",
            "sop_class_uid": outcome.instance.sop_class,
            "sop_instance_uid": uid,
            "sha256": self.sha256[uid],
            "state": outcome.state,
            "status": outcome.status,
            "remark": outcome.remark,
            "commitment": (self.commitment.of(uid) if kept else Commitment().state),
        }


def now() -> str:
    """The time, ISO 8601 in UTC, to a millionth of a second."""
    return datetime.now(UTC).isoformat()


def deliveries_in(result: Path) -> list[dict[str, Any]]:
    """The deliveries in the receipt of a result, the oldest first; none where it has no receipt.

    Raises:
        InputError: the receipt is none of ours, or of a later schema.
    """
    file = result / RECEIPT
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        schema, found = content["schema"], content["deliveries"]
        if schema != SCHEMA or not all(one["begun"] and one["objects"] is not None for one in found):
            raise ValueError
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is no receipt that this version of ctpdeploy can add to: move it to where it is kept."
        ) from error
    return list(found)


def keep(result: Path, delivery: Delivery) -> None:
    """Add a delivery to the receipt of a result, or put it in the place of what was known of it before.

    Raises:
        InputError: the receipt is none of ours.
    """
    kept = [one for one in deliveries_in(result) if (one["begun"], one.get("to")) != (delivery.begun, delivery.to)]
    content = {
        "schema": SCHEMA,
        "case": result.name,
        "intended_use": INTENDED_USE,
        "deliveries": [*kept, delivery.to_json()],
    }
    with atomic_replace(result / RECEIPT) as partial:
        partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def changed(deliveries: Iterable[Mapping[str, Any]], to: str, sha256: Mapping[str, str]) -> frozenset[str]:
    """UIDs of objects that an archive was sent, and stored, with another digest than the one now."""
    before = [one for past in deliveries if past.get("to") == to for one in past["objects"]]
    return frozenset(
        uid
        for one in before
        if one.get("state") == State.STORED
        and sha256.get(uid := one.get("sop_instance_uid"), one.get("sha256")) != one.get("sha256")
    )
