"""A batch for a network that takes one slice at a time."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.onnx_graph.self_test import RunSlice
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = ["run_slices"]


def run_slices(
    run: RunSlice, batch: SliceBatch, shapes: Mapping[str, tuple[int, ...]], *, at_once: int
) -> SliceOutputs:
    """Run a network on all slices of a batch. Slices of air, all zeros, are answered once.

    Args:
        run: runs the network on one slice.
        batch: the slices.
        shapes: ``(C, H, W)`` that the network takes, by the name of the input.
        at_once: slices that run at the same time.

    Raises:
        InputError: the slices have another shape.
    """
    given = {"frames": batch.frames, "features": batch.features}
    for name, shape in shapes.items():
        if given[name].shape[1:] != shape:
            raise InputError(f"The network takes {name} of shape {shape}, not {given[name].shape[1:]}.")
    inputs = {name: given[name] for name in shapes}
    answered_by = _first_of_equals(inputs)
    distinct = sorted(set(answered_by))
    slices = [{name: array[i] for name, array in inputs.items()} for i in distinct]
    if at_once == 1:  # in this thread, which may keep memory for it
        found = [run(slice_) for slice_ in slices]
    else:
        with ThreadPoolExecutor(at_once) as pool:
            found = list(pool.map(run, slices))
    answers = dict(zip(distinct, found, strict=True))
    outputs = {name: np.stack([answers[i][name] for i in answered_by]) for name in found[0]}
    return SliceOutputs(**{**outputs, "probability": outputs["probability"][:, 0]})


def _first_of_equals(inputs: Mapping[str, NDArray[np.float32]]) -> list[int]:
    """Of each slice the slice whose answer it shares: itself, or of those of air the first."""
    air = ~np.logical_or.reduce([array.any(axis=(1, 2, 3)) for array in inputs.values()])
    return np.where(air, air.argmax(), np.arange(len(air))).tolist()
