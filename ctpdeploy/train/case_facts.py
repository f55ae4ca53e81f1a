"""Facts of a case for the model card, and the card's share that the data alone make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

import numpy as np

from ctpdeploy import __version__
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.data.case import Case, MapsWanted
from ctpdeploy.runtime.data.model_card import DataKind, ModelCard
from ctpdeploy.runtime.data.origin import CaseKind, fingerprint
from ctpdeploy.train.split import Split

__all__ = ["CaseFacts", "StatedKind", "card_of"]

StatedKind = Literal["unknown", "patients"]
"""What its user says of the cases that do not say what they are."""

_LONGEST: Final = 64
"""Characters of a maker's name, as DICOM's Long String has."""


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What the card counts of a case.

    Attributes:
        fingerprint: of its series.
        kind: whether it says that it is a phantom.
        maker: of the scanner; empty where it is not stated.
        maps: whether they came with it.
        lesion_ml: volume of its lesion.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
        frame_interval: in s.
    """

    fingerprint: str
    kind: CaseKind
    maker: str
    maps: MapsWanted
    lesion_ml: float
    spacing: tuple[float, float, float]
    frame_interval: float

    @classmethod
    def of(cls, case: Case) -> "CaseFacts":
        """The facts of a case, without a lesion of one of 0 ml."""
        dz, dy, dx = case.geometry.spacing
        return cls(
            fingerprint=fingerprint(case.series),
            kind=case.kind,
            maker=case.maker[:_LONGEST],
            maps="given" if case.perfusion is None else "computed",
            lesion_ml=0.0 if case.lesion is None else case.geometry.volume_ml(case.lesion),
            spacing=(float(dz), float(dy), float(dx)),
            frame_interval=case.frame_interval,
        )


def card_of(
    facts: Mapping[str, CaseFacts], split: Split, patients: Mapping[str, str] | None, stated: StatedKind
) -> ModelCard:
    """The card of a run that begins now.

    Args:
        facts: of the cases trained on and validated on, by name.
        split: of all cases.
        patients: of each case, where there is a table.
        stated: of those that do not say what they are.

    Raises:
        UsageError: they are stated to be patients, and one says that it is a phantom.
    """
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    known = {part: [facts[name] for name in names if name in facts] for part, names in parts.items()}
    train = known["train"]
    if stated == "patients" and (phantoms := [name for name, case in facts.items() if case.kind == "phantom"]):
        raise UsageError(
            f"{phantoms[0]} says that it is a phantom, and data_kind=patients: leave the one or the other."
        )
    return ModelCard(
        kind=_kind([case.kind for case in facts.values()], stated),
        date=datetime.now(UTC).date().isoformat(),
        version=__version__,
        patients={
            part: len({patients[name] for name in names} if patients else names) for part, names in parts.items()
        },
        patients_stated=patients is not None,
        cases={part: len(names) for part, names in parts.items()},
        lesion_ml={part: _quartiles([case.lesion_ml for case in cases]) for part, cases in known.items() if cases},
        slice_mm=_range([case.spacing[0] for case in train]),
        pixel_mm=_range([side for case in train for side in case.spacing[1:]]),
        frame_interval_s=_range([case.frame_interval for case in train]),
        makers=_counts([case.maker for case in train]),
        maps=_counts([case.maps for case in train]),
        fingerprints={
            part: sorted({case.fingerprint for case in known[part]}) for part in ("train", "validation") if known[part]
        },
    )


def _kind(kinds: Sequence[CaseKind], stated: StatedKind) -> DataKind:
    found: set[DataKind] = {"phantom" if kind == "phantom" else stated for kind in kinds}
    return "mixed" if len(found) > 1 else next(iter(found), "unknown")


def _quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in np.percentile(values, (0, 25, 50, 75, 100))]


def _range(values: Sequence[float]) -> list[float]:
    return [round(min(values), 4), round(max(values), 4)] if values else []


def _counts(words: Sequence[str]) -> dict[str, int]:
    return {word: words.count(word) for word in sorted(set(words))}
