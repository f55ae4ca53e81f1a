"""The reference of the gate: slices, and the outputs of the trained networks on them in float64.

It travels in the bundle as ``reference.safetensors``, of synthetic slices only, so that a workstation without torch can
pass the gate again on its own processor and with its own engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.gate.raw_case import RawCase, raw_case_of
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

__all__ = ["CHAIN", "FILE", "Reference", "network_sources", "raw_case_in"]

FILE: Final = "reference.safetensors"
CHAIN: Final = "chain"
"""The whole chain among the networks: its output is the probability of lesion."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Slices with the outputs of the trained networks on them.

    Attributes:
        frames: float32 ``(N, C_e, H, W)``.
        features: float32 ``(N, 5, H, W)``.
        outputs: of each network on the outputs of those before it, float64 ``(N, C, H, W)`` by role; as ``"chain"``
            the probability ``(N, H, W)``.
        eager: error of eager torch in float32 by the same names, on the same inputs, float64 ``(N, 2)``: root mean
            square and largest of each slice.
        eager_flips: labels of eager float32 that differ, ``(N,)``.
        raw: the case that the last slices were made of; None in bundles made before there was one.
        threshold: probability above which the networks' user draws lesion; not in the file, but of the constants.
    """

    frames: NDArray[np.float32]
    features: NDArray[np.float32]
    outputs: Mapping[str, NDArray[np.float64]]
    eager: Mapping[str, NDArray[np.float64]]
    eager_flips: NDArray[np.int64]
    raw: RawCase | None = None
    threshold: float = PreprocessConfig.threshold

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def sources(self) -> dict[str, NDArray[np.float32]]:
        """Network inputs that come from a case, by name."""
        return network_sources(self.frames, self.features)

    def unit(self, tensor: str) -> tuple[float, float]:
        """Eager float32's root mean square and largest error.

        A tensor that eager happens to get exactly right leaves no unit: half of float32's resolution is the least.
        """
        least = float(np.finfo(np.float32).eps * np.abs(self.outputs[tensor]).max()) / 2
        rms, largest = self.eager[tensor].T
        return max(float(np.sqrt((rms**2).mean())), least), max(float(largest.max()), least)

    def first(self, count: int) -> "Reference":
        """The same of the first slices only, without the raw case."""
        return replace(
            self,
            frames=self.frames[:count],
            features=self.features[:count],
            outputs={name: array[:count] for name, array in self.outputs.items()},
            eager={name: array[:count] for name, array in self.eager.items()},
            eager_flips=self.eager_flips[:count],
            raw=None,
        )

    def save(self, path: Path) -> None:
        """Write it."""
        arrays = {"frames": self.frames, "features": self.features, "eager_flips": self.eager_flips}
        arrays |= {f"outputs/{name}": array for name, array in self.outputs.items()}
        arrays |= {f"eager/{name}": array for name, array in self.eager.items()}
        arrays |= {} if self.raw is None else self.raw.arrays()
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    @classmethod
    def load(cls, path: Path, *, called: Path) -> "Reference":
        """Load a reference from an untrusted source.

        Args:
            path: its file.
            called: path in error messages.

        Raises:
            InputError: it is no reference, or its arrays do not belong together.
        """
        try:
            found = load_file(path)
            reference = cls(
                frames=found["frames"],
                features=found["features"],
                outputs=_named(found, "outputs/"),
                eager=_named(found, "eager/"),
                eager_flips=found["eager_flips"],
                raw=raw_case_of(path),
            )
            reference._check()
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise _damaged(called, error) from error
        return reference

    def _check(self) -> None:
        slices, _, *size = self.frames.shape
        expected: dict[str, tuple[NDArray[Any], type[np.generic], tuple[int, ...]]] = {
            "frames": (self.frames, np.float32, (slices, self.frames.shape[1], *size)),
            "features": (self.features, np.float32, (slices, len(MAP_NAMES) + 1, *size)),
            "eager_flips": (self.eager_flips, np.int64, (slices,)),
        }
        for name, array in self.outputs.items():
            channels = () if name == CHAIN else (array.shape[1],)
            expected[name] = (array, np.float64, (slices, *channels, *size))
            expected[f"eager/{name}"] = (self.eager[name], np.float64, (slices, 2))
        for name, (array, kind, shape) in expected.items():
            if array.dtype != kind or array.shape != shape or not slices:
                raise ValueError(f"its {name} are {array.dtype} {array.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"its {name} are not finite")
        if CHAIN not in self.outputs:
            raise ValueError("it has no probability")


def raw_case_in(bundle: Bundle) -> RawCase | None:
    """The raw case that travels in a bundle, without the rest of its reference; None in one made before there was one.

    Raises:
        InputError: it is damaged.
    """
    try:
        return raw_case_of(bundle.folder / FILE)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise _damaged(bundle.source / FILE, error) from error


def _damaged(called: Path, error: Exception) -> InputError:
    return InputError(f"{called} is damaged ({error}): copy or export the bundle again.")


def network_sources(frames: NDArray[np.float32], features: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Network inputs that come from a case, by name: frames, features, and of these the perfusion maps."""
    return {"frames": frames, "features": features, "maps": features[:, : len(MAP_NAMES)]}


def _named(arrays: Mapping[str, NDArray[np.float64]], prefix: str) -> dict[str, NDArray[np.float64]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
