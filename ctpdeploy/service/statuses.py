"""Statuses: what an archive's codes for stored objects mean (DICOM PS3.4 B.2.3, PS3.7 annex C)."""

from dataclasses import replace

from ctpdeploy.service.archive import Outcome, State
from ctpdeploy.service.instance import Instance

__all__ = ["outcome_of_failure", "outcome_of_status"]

_WORDS = {
    0xB000: "elements were coerced",
    0xB006: "elements were discarded",
    0xB007: "it does not match its SOP class",
    0x0105: "no such attribute",
    0x0106: "a value is invalid",
    0x0110: "processing failed",
    0x0111: "another object has its UID",
    0x0117: "its UID is invalid",
    0x0122: "its SOP class is not supported",
    0x0124: "not authorised",
}
_FAMILIES = {0xA7: "out of resources", 0xA9: "it does not match its SOP class"}


def outcome_of_status(instance: Instance, status: int) -> Outcome:
    """The outcome that a status of C-STORE, or a warning of STOW-RS, stands for.

    Args:
        instance: that was sent.
        status: 0 to 0xffff; 0, 0x0001, 0x0107, 0x0116 and 0xbxxx are stored, 0xa7xx may be later.
    """
    stored = status in (0x0000, 0x0001, 0x0107, 0x0116) or status >> 12 == 0xB
    words = _WORDS.get(status) or _FAMILIES.get(status >> 8)
    if words is None and status:
        words = "stored with a warning" if stored else "it cannot be understood" if status >> 12 == 0xC else "refused"
    return Outcome(
        instance=instance,
        state=State.STORED if stored else State.REFUSED,
        status=f"{status:04x}",
        remark=words or "",
        transient=status >> 8 == 0xA7,
    )


def outcome_of_failure(instance: Instance, reason: int) -> Outcome:
    """The outcome of an object that an answer names as failed: never stored, whatever its reason says.

    Args:
        instance: that was sent.
        reason: 0 to 0xffff, that of STOW-RS.
    """
    found = outcome_of_status(instance, reason)
    if found.state is not State.STORED:
        return found
    return replace(found, state=State.REFUSED, remark="named as failed, with a reason that is none")
