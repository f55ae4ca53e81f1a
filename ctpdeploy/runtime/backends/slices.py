"""A batch for a network that takes one slice at a time."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["RunSlice", "Slice", "SliceNetwork", "inputs_of", "run_slices"]

Slice = Mapping[str, NDArray[np.float32]]
"""Float32 ``(C, H, W)`` by the name of the input or output."""

RunSlice = Callable[[Slice], Slice]


class SliceNetwork(Protocol):
    """A network on the processor, one slice at a time."""

    def run(self, inputs: Slice) -> Slice:
        """Run one slice; returns new arrays."""
        ...

    def close(self) -> None:
        """Give back memory and threads; it is not run any more."""
        ...


def run_slices(
    run: RunSlice, batch: SliceBatch, shapes: Mapping[str, Sequence[int]], *, at_once: int = 1
) -> SliceOutputs:
    """Run a network on all slices of a batch. Slices of air, all zeros, are computed once.

    Args:
        run: runs the network on one slice.
        batch: the slices.
        shapes: ``(C, H, W)`` that the network takes, by the name of the input.
        at_once: slices that run at the same time.

    Raises:
        InputError: the slices have another shape or type.
    """
    inputs = inputs_of(batch, shapes)
    shared = _first_of_equals(inputs)
    distinct = sorted(set(shared))
    slices = [{name: array[i] for name, array in inputs.items()} for i in distinct]
    if at_once == 1:  # in this thread, which may keep memory for it
        found = [run(slice_) for slice_ in slices]
    else:
        with ThreadPoolExecutor(at_once) as pool:
            found = list(pool.map(run, slices))
    outputs_of = dict(zip(distinct, found, strict=True))
    outputs = {name: np.stack([outputs_of[i][name] for i in shared]) for name in found[0]}
    return SliceOutputs(**{**outputs, "probability": outputs["probability"][:, 0]})


def inputs_of(batch: SliceBatch, shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[np.float32]]:
    """The inputs of a network in a batch, by their names.

    Args:
        batch: the slices.
        shapes: of one slice of each input, by its name.

    Raises:
        InputError: the slices have another shape or type, or there are none.
    """
    inputs: dict[str, NDArray[np.float32]] = {name: getattr(batch, name) for name in shapes}
    for name, array in inputs.items():
        if array.shape[1:] != tuple(shapes[name]):
            raise InputError(f"The network takes {name} of shape {tuple(shapes[name])}, not {array.shape[1:]}.")
        if array.dtype != np.float32:
            raise InputError(f"The network takes {name} in float32, not {array.dtype}.")
    if len(counts := {len(array) for array in inputs.values()}) != 1 or 0 in counts:
        raise InputError(f"The network takes as many slices of each input, one or more, not {sorted(counts)}.")
    return inputs


def _first_of_equals(inputs: Mapping[str, NDArray[np.float32]]) -> list[int]:
    """Of each slice the slice whose outputs it shares: itself, or of those of air the first."""
    air = ~np.logical_or.reduce([array.any(axis=(1, 2, 3)) for array in inputs.values()])
    return np.where(air, air.argmax(), np.arange(len(air))).tolist()
