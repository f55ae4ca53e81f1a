"""The gate of what surrounds the networks: the raw case through preprocessing, and from its voxels to a mask.

Numbers in ``bundle.json`` that turn a case into network input are no weights, and a gate that begins at the input does
not see them change: a ``time_window`` of 30 s instead of 20 s made 108 ml of a lesion of 69 ml.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import GateError, InputError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.reference_path import run_case
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.gate.raw_case import RawCase, ramp_mask, slabs_of_thin
from ctpdeploy.runtime.gate.reference import CHAIN, Reference, raw_case_in
from ctpdeploy.runtime.gate.verification import limits_of
from ctpdeploy.runtime.metrics.overlap import agreement
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import FEATURE_NAMES, PreprocessConfig, preprocess

__all__ = [
    "CaseTrial",
    "PreprocessingTrial",
    "other_preprocessing",
    "require_preprocessing",
    "try_case",
    "try_preprocessing",
]

_INPUT: Final = 1e-5
"""Difference of a network input, about [0, 1], that sums in another order can make; a constant 0.1 % off makes 1e-4."""

_MAP: Final = 1e-3
"""Root mean square difference of a computed map, of its own root mean square, that another linear algebra can make."""

_NEAR: Final = 1e-3
"""Distance from the threshold within which rounding may decide; the networks alone are judged more finely."""


@dataclass(frozen=True, kw_only=True)
class PreprocessingTrial:
    """How far preprocessing here is from that behind the reference.

    Attributes:
        inputs: largest difference of each network input, by name, and of the threshold that draws the mask.
        maps: difference of each map computed from the series, root mean square, relative; none where it was not tried.
    """

    inputs: Mapping[str, float]
    maps: Mapping[str, float]

    def failures(self) -> list[str]:
        """What is not the same, a phrase each, with the figures; written so that NaN is not."""
        found = [f"{name} is off by {error:.2g}" for name, error in self.inputs.items() if not error <= _INPUT]
        return found + [
            f"{name.upper()} computed from the series is off by {error:.2g} of itself"
            for name, error in self.maps.items()
            if not error <= _MAP
        ]


@dataclass(frozen=True, kw_only=True)
class CaseTrial:
    """A backend on the raw case, from its voxels to a mask in them.

    Attributes:
        backend: its name.
        flips: labels that differ from those of the trained networks, where these do not lie near the threshold.
        dice: between the two masks.
        least_dice: of a precision that may change labels; None: no label may.
    """

    backend: str
    flips: int
    dice: float
    least_dice: float | None

    def failures(self) -> list[str]:
        """What does not hold, a phrase each, with the figures."""
        holds = not self.flips if self.least_dice is None else self.dice >= self.least_dice
        if holds:
            return []
        return [f"{self.backend} draws another mask from the raw voxels on (Dice {self.dice:.4f}, {self.flips} labels)"]


def try_preprocessing(bundle: Bundle, raw: RawCase, *, maps: bool = True) -> PreprocessingTrial:
    """Preprocess the raw case by the constants of the bundle, and compute its maps, as for a case that has none.

    Args:
        bundle: whose constants are tried.
        raw: that travels in it.
        maps: whether to compute these too, which takes longer.
    """
    with np.errstate(all="ignore"):  # whatever the constants are, the result is looked at
        made = preprocess(raw.case, bundle.preprocess)[0]
        expected = _inputs(raw.expected)
        inputs = {name: _largest(array, expected[name]) for name, array in _inputs(made).items()}
    inputs["slabs"] = 0.0 if slabs_of_thin(bundle.perfusion) == raw.slabs else np.inf
    inputs["threshold"] = _off_threshold(bundle, raw)
    return PreprocessingTrial(inputs=inputs, maps=_computed(bundle, raw) if maps else {})


def require_preprocessing(bundle: Bundle) -> None:
    """Refuse a bundle by whose constants the raw case becomes other network inputs; takes milliseconds.

    Raises:
        GateError: it does; with the figures.
        InputError: the reference is damaged.
    """
    raw = raw_case_in(bundle)
    if raw is not None and (failures := try_preprocessing(bundle, raw, maps=False).failures()):
        raise other_preprocessing(bundle, failures)


def other_preprocessing(bundle: Bundle, failures: list[str]) -> GateError:
    """The error on what is not the same."""
    return GateError(
        f"The preprocessing of {bundle.source} makes other inputs of its raw case than those its networks were proven "
        f"with ({'; '.join(failures)}): do not use it here, copy or export it again."
    )


def try_case(bundle: Bundle, engine: Engine, reference: Reference, raw: RawCase) -> CaseTrial:
    """Take the raw case from its voxels to a mask, on the device where the engine can, and compare the mask.

    Args:
        bundle: of the engine.
        engine: under test.
        reference: that travels in the bundle.
        raw: likewise.
    """
    truth = reference.outputs[CHAIN][-raw.slices :].astype(np.float32)
    mask, probability, _ = postprocess(SliceOutputs(probability=truth), raw.case, bundle.preprocess)
    found = run_case(engine, raw.case, bundle.preprocess).mask
    far = np.abs(probability - bundle.preprocess.threshold) > _NEAR
    return CaseTrial(
        backend=engine.info.backend,
        flips=int(((found != mask) & far).sum()),
        dice=agreement(found, mask, 1.0).dice,
        least_dice=limits_of(bundle.precision, static_norm=bundle.static_norm).dice,
    )


def _inputs(batch: SliceBatch) -> dict[str, NDArray[np.float32]]:
    """Network inputs by name."""
    features = {name: batch.features[:, channel] for channel, name in enumerate(FEATURE_NAMES)}
    return {"frames": batch.frames, **features} | ({} if batch.dwi is None else {"dwi": batch.dwi})


def _computed(bundle: Bundle, raw: RawCase) -> dict[str, float]:
    # linear algebra of SciPy takes a quarter of a second to import: only who computes maps pays for it
    from ctpdeploy.runtime.perfusion.maps import perfusion_maps

    case = raw.case
    try:
        made = perfusion_maps(case.series, case.times, case.geometry.spacing, bundle.perfusion).maps
    except InputError:
        return dict.fromkeys(MAP_NAMES, np.inf)
    return {name: _rms(made[name] - case.maps[name]) / max(_rms(case.maps[name]), _INPUT) for name in MAP_NAMES}


def _off_threshold(bundle: Bundle, raw: RawCase) -> float:
    """How far, as a probability, voxels of another label lie from the threshold in the mask of the ramp."""
    try:
        mask, probability = ramp_mask(raw.case, bundle.preprocess)
    except InputError:
        return np.inf
    expected = probability > PreprocessConfig.threshold if raw.mask is None else raw.mask
    return float(np.abs(probability - bundle.preprocess.threshold)[mask != expected].max(initial=0.0))


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _largest(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
