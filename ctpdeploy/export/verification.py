"""What the gate measured and what had to hold; written into the bundle as ``verification.json``."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LIMITS", "Check", "Limits", "Verification"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an export in float32 must hold.

    Attributes:
        rms_ratio: root mean square error, in units of eager float32's own.
        max_ratio: largest error, in the same units; a single element scatters more than the mean.
        flips: labels that differ where the reference is further from the threshold than rounding explains.
        batch_difference: largest change of a probability with the batch that a slice is in; a chain whose rounding
            is larger than this may change by as much as that, ``max_ratio`` times eager's largest error.
    """

    rms_ratio: float = 2.0
    max_ratio: float = 4.0
    flips: int = 0
    batch_difference: float = 1e-6


LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison with the float64 reference.

    Attributes:
        candidate: what was compared: ``"folded"`` (torch) or ``"onnx"`` (ONNX Runtime).
        tensor: the network whose output it is, or ``"chain"``.
        rms_error: root mean square error.
        max_error: largest absolute error.
        eager_rms_error: eager float32 torch's own.
        eager_max_error: likewise.
        held: whether the limits hold.
    """

    candidate: str
    tensor: str
    rms_error: float
    max_error: float
    eager_rms_error: float
    eager_max_error: float
    held: bool


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Everything that the gate measured; written as ``verification.json``.

    Attributes:
        limits: what had to hold.
        checks: tensor by tensor.
        slices: how many slices were compared.
        cases: where they came from.
        flips: labels of the ONNX chain that differ from the reference's.
        eager_flips: the same of eager float32.
        flips_beyond_rounding: those of ``flips`` that rounding does not explain.
        dice: between the masks of the ONNX chain and of the reference.
        volume_difference: of the masks, relative to the reference's.
        batch_difference: largest change of a probability with the batch.
    """

    limits: Limits
    checks: tuple[Check, ...]
    slices: int
    cases: tuple[str, ...]
    flips: int
    eager_flips: int
    flips_beyond_rounding: int
    dice: float
    volume_difference: float
    batch_difference: float

    def failures(self) -> list[str]:
        """What did not hold, a phrase each, with the figures."""
        found = [
            f"{check.candidate} {check.tensor} has {_times(check.rms_error, check.eager_rms_error)} eager's own error "
            f"(largest {_times(check.max_error, check.eager_max_error)})"
            for check in self.checks
            if not check.held
        ]
        if self.flips_beyond_rounding > self.limits.flips:
            found.append(f"{self.flips_beyond_rounding} labels differ beyond rounding")
        rounding = max(
            self.limits.max_ratio * check.eager_max_error for check in self.checks if check.tensor == "chain"
        )
        if not self.batch_difference <= max(self.limits.batch_difference, rounding):
            found.append(f"a probability changes by {self.batch_difference:.1e} with the batch")
        return found

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")


def _times(error: float, unit: float) -> str:
    return f"{error / unit:.3g} times"
