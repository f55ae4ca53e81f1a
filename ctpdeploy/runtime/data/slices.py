"""All slices of a case as networks take them, and what networks return for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding

__all__ = ["PerfusionWindow", "SliceBatch", "SliceOutputs", "require_outputs"]


@dataclass(frozen=True, kw_only=True)
class PerfusionWindow:
    """The perfused part of a series.

    Attributes:
        start: T_s, index of the first frame.
        end: T_e, index of the last frame.
        spans: first frame and the one after the last of each of the C_e images handed to the feature extractor,
            ascending: one frame each, T_s and T_e among them, or the frames that it is the mean of.
        curve: q(t), float64 ``(T,)``, in HU summed over all voxels.
        findings: which fallback was taken, and why.
    """

    start: int
    end: int
    spans: tuple[tuple[int, int], ...]
    curve: FloatArray
    findings: tuple[Finding, ...] = ()

    @property
    def averages(self) -> bool:
        """Whether any of these images is a mean of frames."""
        return any(end - first > 1 for first, end in self.spans)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frame in the middle of each of these images: itself, or the one that stands for its mean."""
        return tuple((first + end - 1) // 2 for first, end in self.spans)


@dataclass(frozen=True, kw_only=True)
class SliceBatch:
    """All slices of a case, ready for the networks.

    Attributes:
        frames: I*, float32 ``(N, C_e, H, W)`` in [0, 1].
        features: F_o and F_l, float32 ``(N, 5, H, W)`` in [0, 1], channels as in ``FEATURE_NAMES``.
        dwi: I_d, float32 ``(N, 1, H, W)`` from 0, about 1 at most, where the case has a real DWI: the target of
            synthesis, and input of the systems that measure how much a real one would help.
    """

    frames: NDArray[np.float32]
    features: NDArray[np.float32]
    dwi: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class SliceOutputs:
    """Network outputs for each slice, on the networks' grid.

    Attributes:
        probability: softmax probability of lesion, float32 ``(N, H, W)``.
        pseudo_dwi: I_g, float32 ``(N, 1, H, W)``, about [0, 1], not clipped; None from a system without synthesis.
        extractor: F_h, float32 ``(N, 1, H, W)``; None from a system without a feature extractor.
    """

    probability: NDArray[np.float32]
    pseudo_dwi: NDArray[np.float32] | None = None
    extractor: NDArray[np.float32] | None = None


def require_outputs(outputs: SliceOutputs, shape: tuple[int, ...], *, where: str) -> None:
    """Refuse the outputs of an engine that does not keep its contract.

    Args:
        outputs: of an engine.
        shape: ``(N, H, W)`` of the slices.
        where: of which case or backend, in words.

    Raises:
        BackendError: an output has another shape or type.
    """
    for name, array, expected in (
        ("probability", outputs.probability, shape),
        ("pseudo-DWI", outputs.pseudo_dwi, (shape[0], 1, *shape[1:])),
    ):
        if array is not None and (array.shape != expected or array.dtype != np.float32):
            raise BackendError(
                f"The engine returned a {name} of shape {array.shape} and type {array.dtype} {where}, "
                f"not float32 {expected}: take another backend."
            )
