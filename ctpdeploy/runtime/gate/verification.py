"""The comparisons of the gate, their limits and their figures; written into the bundle as ``verification.json``.

The reference is the trained chain in float64. Eager torch in float32 has an error of its own against it; a candidate's
error is measured in units of that error, for each network on the reference's own inputs and for the whole chain.
Labels may differ from the reference's only where the reference itself lies within rounding of the threshold.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import GateError
from ctpdeploy.runtime.gate.reference import CHAIN, Reference
from ctpdeploy.runtime.metrics.overlap import agreement

__all__ = ["LIMITS", "Comparison", "Limits", "TensorError", "Verification", "compare", "limits_of"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a candidate.

    Attributes:
        rms_ratio: root mean square error, in units of eager float32's own; None: not limited.
        max_ratio: largest error, in the same units; a single element scatters more than the mean.
        flips: labels that differ where the reference is further from the threshold than rounding explains.
        dice: least agreement of the masks; None: flips are the criterion, which a small lesion cannot mislead.
        volume_difference: of the masks, relative to the reference's; None likewise.
        batch_difference: largest change of a probability with the batch that a slice is in; a chain whose rounding
            is larger than this may change by as much as that, ``max_ratio`` times eager's largest error.
    """

    rms_ratio: float | None = 2.0
    max_ratio: float | None = 4.0
    flips: int | None = 0
    dice: float | None = None
    volume_difference: float | None = None
    batch_difference: float = 1e-6

    @property
    def approximate(self) -> bool:
        """Whether the masks are the criterion, and not rounding."""
        return self.flips is None


_HALF: Final = 2.0**13
"""Resolution of half precision in units of single precision's: 10 bits of mantissa and 23."""

LIMITS: Final[Mapping[str, Limits]] = {
    "fp32": Limits(),
    "fp16": Limits(rms_ratio=2 * _HALF, max_ratio=4 * _HALF, flips=None, dice=0.995, volume_difference=0.01),
    "int8": Limits(rms_ratio=None, max_ratio=None, flips=None, dice=0.99, volume_difference=0.02),
}
"""By the precision of the graph."""

_STATIC: Final = Limits(rms_ratio=None, max_ratio=None, flips=None, dice=0.995, volume_difference=0.01)


def limits_of(precision: str, *, static_norm: bool = False) -> Limits:
    """The limits of a published chain.

    Args:
        precision: of the graphs.
        static_norm: whether normalisation was made constant, which changes results by more than rounding does.
    """
    return LIMITS[precision] if precision == "int8" or not static_norm else _STATIC


@dataclass(frozen=True, kw_only=True)
class TensorError:
    """The error of one tensor, compared with the float64 reference.

    Attributes:
        tensor: the network whose output it is, or ``"chain"``.
        rms_error: root mean square error.
        max_error: largest absolute error.
        eager_rms_error: eager float32 torch's own.
        eager_max_error: likewise.
        held: whether the limits hold.
    """

    tensor: str
    rms_error: float
    max_error: float
    eager_rms_error: float
    eager_max_error: float
    held: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The figures of one candidate.

    Attributes:
        candidate: ``"folded"`` (torch), ``"onnx"``, ``"onnx fp16"``, or the name of a backend.
        limits: of its errors.
        checks: tensor by tensor.
        flips: labels that differ from the reference's.
        flips_beyond_rounding: those that rounding does not explain.
        dice: between the masks of the candidate and of the reference.
        volume_difference: of the masks, relative to the reference's.
        lesion: pixels of the reference's masks.
        batch_difference: largest change of a probability with the batch; None where it was not tried.
    """

    candidate: str
    limits: Limits
    checks: tuple[TensorError, ...]
    flips: int
    flips_beyond_rounding: int
    dice: float
    volume_difference: float
    lesion: int
    batch_difference: float | None = None

    @property
    def times_eager(self) -> float:
        """Root mean square error in units of eager float32's own, of the tensor that is worst."""
        return max(check.rms_error / check.eager_rms_error for check in self.checks)

    def failures(self) -> list[str]:
        """The limits that do not hold, a phrase each, with the figures."""
        found = [
            f"{self.candidate} {check.tensor} has {_times(check.rms_error, check.eager_rms_error)} eager's own error "
            f"(largest {_times(check.max_error, check.eager_max_error)})"
            for check in self.checks
            if not check.held
        ]
        return [*found, *(f"{self.candidate} {phrase}" for phrase in (*self._labels(), *self._batch()))]

    def require(self, hint: str = "") -> None:
        """Refuse unless every limit holds.

        Args:
            hint: where to look.

        Raises:
            GateError: naming each that does not, with the figures.
        """
        if failures := self.failures():
            reasons = "; ".join(failures)
            raise GateError(f"The export is not equal to the trained networks: {reasons}{hint}; nothing was published.")

    def _labels(self) -> list[str]:
        limits, found = self.limits, []
        if limits.flips is not None and self.flips_beyond_rounding > limits.flips:
            found.append(f"differs in {self.flips_beyond_rounding} labels beyond rounding")
        if limits.approximate and not self.lesion:
            found.append("cannot be judged by masks, as the networks find no lesion in these cases (give others)")
        if limits.dice is not None and not self.dice >= limits.dice:
            found.append(f"has masks of Dice {self.dice:.4f}, where {limits.dice} is needed")
        if limits.volume_difference is not None and not self.volume_difference <= limits.volume_difference:
            found.append(
                f"has a volume {self.volume_difference:.1%} off, where {limits.volume_difference:.0%} is allowed"
            )
        return found

    def _batch(self) -> list[str]:
        if self.batch_difference is None:
            return []
        eager = max(check.eager_max_error for check in self.checks if check.tensor == CHAIN)
        rounding = eager * (self.limits.max_ratio or LIMITS["fp32"].max_ratio or 0.0)
        if self.batch_difference <= max(self.limits.batch_difference, rounding):
            return []
        return [f"changes a probability by {self.batch_difference:.1e} with the batch"]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Everything that the gate measured; written as ``verification.json``.

    Attributes:
        precision: of the published graphs.
        slices: how many slices were compared.
        cases: where they came from.
        eager_flips: labels of eager float32 that differ from the reference's.
        trials: of each candidate; the last is what was published.
        float32_layers: convolutions that stay in float32 because the limits do not hold without.
        layer_errors: root mean square error of the chain's probability with this layer alone in the precision, on the
            first slices, where layers had to be searched.
        nodes: operators of each network, exported as trained and folded.
        calibration: where the slices of INT8's scales or of constant statistics came from.
        static_bounds: how far each layer of normalisation that was made constant can be off, on those slices, in
            standard deviations of its output.
    """

    precision: str
    slices: int
    cases: tuple[str, ...]
    eager_flips: int
    trials: tuple[Comparison, ...]
    float32_layers: tuple[str, ...] = ()
    layer_errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    nodes: Mapping[str, tuple[int, int]] = dataclasses.field(default_factory=dict)
    calibration: tuple[str, ...] = ()
    static_bounds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2) + "\n", encoding="utf-8")


def compare(
    candidate: str,
    outputs: Mapping[str, NDArray[np.float64]],
    reference: Reference,
    limits: Limits,
    together: NDArray[np.float64] | None = None,
) -> Comparison:
    """Compare the outputs of a candidate with the reference.

    Args:
        candidate: its name.
        outputs: of networks by role, and the probability ``(N, H, W)`` as ``"chain"``.
        reference: with the same slices.
        limits: of its errors.
        together: the probability again, with all slices in one batch.

    Raises:
        GateError: an output has another shape than the reference's.
    """
    for tensor, output in outputs.items():
        if output.shape != (shape := reference.outputs[tensor].shape):
            raise GateError(f"{candidate} returns a {tensor} of shape {output.shape}, not {shape}: do not use it here.")
    chain, truth = outputs[CHAIN], reference.outputs[CHAIN]
    label, true_label = chain > reference.threshold, truth > reference.threshold
    near = np.abs(truth - reference.threshold) <= (LIMITS["fp32"].max_ratio or 0.0) * reference.unit(CHAIN)[1]
    same = agreement(label, true_label, 1.0)
    return Comparison(
        candidate=candidate,
        limits=limits,
        checks=tuple(_tensor_error(tensor, output, reference, limits) for tensor, output in outputs.items()),
        flips=int((label != true_label).sum()),
        flips_beyond_rounding=int(((label != true_label) & ~near).sum()),
        dice=same.dice,
        volume_difference=abs(same.volume_ml - same.true_volume_ml) / max(same.true_volume_ml, 1.0),
        lesion=int(true_label.sum()),
        batch_difference=None if together is None else float(np.abs(together - chain).max()),
    )


def _tensor_error(tensor: str, output: NDArray[np.float64], reference: Reference, limits: Limits) -> TensorError:
    difference = output - reference.outputs[tensor]
    rms, largest = float(np.sqrt((difference**2).mean())), float(np.abs(difference).max())
    eager_rms, eager_largest = reference.unit(tensor)
    return TensorError(
        tensor=tensor,
        rms_error=rms,
        max_error=largest,
        eager_rms_error=eager_rms,
        eager_max_error=eager_largest,
        # written so that NaN does not hold
        held=_within(rms, limits.rms_ratio, eager_rms) and _within(largest, limits.max_ratio, eager_largest),
    )


def _within(error: float, ratio: float | None, unit: float) -> bool:
    return bool(np.isfinite(error)) if ratio is None else error <= ratio * unit


def _times(error: float, unit: float) -> str:
    return f"{error / unit:.3g} times"
