"""The model card: what networks were trained on and what they reached, for whoever reads a result of theirs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from ctpdeploy.runtime.data.finding import Finding, finding

__all__ = ["FLOOR", "DataKind", "ModelCard", "stored_card"]

DataKind = Literal["phantom", "patients", "mixed", "unknown"]
"""Of all cases together; ``mixed`` where some are phantoms and others not."""

FLOOR: Final = 0.2
"""Mean Dice of the validation cases under which networks have learned nothing of use. Of 24 synthetic patients whoever
draws the whole brain reaches 0.12, who knows the side and draws all of that hemisphere 0.22, and the rule Tmax > 6 s
and rCBF < 30 %, which learns nothing, 0.33."""

_SYNTHETIC: Final[Mapping[DataKind, str]] = {
    "phantom": "Networks trained on synthetic patients.",
    "mixed": "Networks trained on synthetic patients among others.",
}
_KNOWN: Final[Mapping[str, str]] = {
    "train": "The networks were trained on this very scan",
    "validation": "This very scan chose the epoch and the threshold of the networks",
}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """Facts of a run; plain values, as JSON has them. What nobody stated is empty, None or ``unknown``, never guessed.

    Attributes:
        kind: of the data.
        date: UTC day on which the training began, as ``2026-11-28``.
        version: of ctpdeploy that began it.
        patients: numbers by part; where there was no table of patients, of cases.
        patients_stated: whether there was one.
        cases: numbers by part.
        lesion_ml: by part, of those that were read: least, lower quartile, median, upper quartile and greatest volume.
        slice_mm: least and greatest distance of slices trained on.
        pixel_mm: likewise, of a pixel's sides.
        frame_interval_s: likewise.
        makers: number of cases trained on by the maker of their scanner; ``""`` is not stated.
        maps: likewise by where their maps are from, ``given`` or ``computed``; in ml/100g/min, ml/100g, s and s.
        validation_dice: mean of the validation cases at the threshold that travels with the networks.
        threshold_from: cases that this threshold was found on; 0 where it is the likelier class's 0.5.
        fingerprints: of the cases trained on and validated on, by part (:mod:`ctpdeploy.runtime.data.origin`).
    """

    kind: DataKind = "unknown"
    date: str | None = None
    version: str | None = None
    patients: Mapping[str, int] = field(default_factory=dict)
    patients_stated: bool = False
    cases: Mapping[str, int] = field(default_factory=dict)
    lesion_ml: Mapping[str, Sequence[float]] = field(default_factory=dict)
    slice_mm: Sequence[float] = ()
    pixel_mm: Sequence[float] = ()
    frame_interval_s: Sequence[float] = ()
    makers: Mapping[str, int] = field(default_factory=dict)
    maps: Mapping[str, int] = field(default_factory=dict)
    validation_dice: float | None = None
    threshold_from: int = 0
    fingerprints: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def synthetic(self) -> str:
        """A sentence on synthetic training data, for every result; empty where none is known of."""
        return _SYNTHETIC.get(self.kind, "")

    @property
    def poor(self) -> bool:
        """Whether validation is not known to reach the floor; written so that NaN does not."""
        return self.validation_dice is None or not self.validation_dice >= FLOOR

    @property
    def reached(self) -> str:
        """What validation gave, in words."""
        if self.validation_dice is None:
            return "not validated"
        count = self.cases.get("validation")
        return f"validation Dice {self.validation_dice:.2f}" + (f" of {count} cases" if count else "")

    @property
    def shortfall(self) -> str:
        """A clause on validation that is not known to reach the floor."""
        if self.validation_dice is None:
            return "The networks were not validated"
        return (
            f"The networks reached a mean Dice of {self.validation_dice:.2f} on {self.cases.get('validation', 'the')} "
            f"validation cases, and under {FLOOR} they have learned nothing of use"
        )

    def summary(self) -> dict[str, Any]:
        """What people read of it: all but the fingerprints."""
        content = asdict(self)
        del content["fingerprints"]
        return {**content, "reaches_floor": not self.poor}

    def findings(self, scan: str) -> Iterator[Finding]:
        """What to know of a result of these networks.

        Args:
            scan: fingerprint of the case.
        """
        if self.poor:
            yield finding("networks-poor", f"{self.shortfall}: the lesion may be anywhere.")
        for part, words in _KNOWN.items():
            if scan in self.fingerprints.get(part, ()):
                yield finding("case-known", f"{words}: what they find in it says nothing of other patients.")


def stored_card(content: Mapping[str, Any]) -> ModelCard | None:
    """The card in a manifest that is valid by its schema; None where it has none."""
    return ModelCard(**content["card"]) if "card" in content else None
