"""The gate where there is no torch: networks and engines against the reference."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.backends.ort_cpu import open_session
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle, Network
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.reference import CHAIN, FILE, Reference
from ctpdeploy.runtime.gate.verification import Comparison, Limits, compare, limits_of

__all__ = ["chain_error", "reference_of", "slices_of", "try_engine", "try_networks"]


def reference_of(bundle: Bundle) -> Reference:
    """The reference that travels in a bundle.

    Raises:
        InputError: it is damaged, or belongs to other networks.
    """
    called = bundle.source / FILE
    reference, networks = Reference.load(bundle.folder / FILE, called=called), bundle.networks
    roles = {role for role in networks if role != PIPELINE}
    given = {name: array.shape[1:] for name, array in reference.sources.items() if name in networks[PIPELINE].inputs}
    taken = {name: tuple(shape[1:]) for name, shape in networks[PIPELINE].inputs.items()}
    if given != taken or not roles <= set(reference.outputs):
        raise InputError(
            f"{called} is of {sorted(reference.outputs)} on {given}, not of this bundle's {sorted(roles)} on {taken}: "
            "copy or export the bundle again."
        )
    return replace(reference, threshold=bundle.preprocess.threshold)


def try_networks(
    candidate: str, networks: Mapping[str, Network], folder: Path, reference: Reference, limits: Limits
) -> Comparison:
    """Compare ONNX files in ONNX Runtime on the CPU: each network on the reference's inputs, and the chain.

    Args:
        candidate: their name.
        networks: by role, and the merged one.
        folder: where their files lie.
        reference: slices, and what to find.
        limits: of their errors.

    Raises:
        BackendError: ONNX Runtime refuses one, or fails to run it.
    """
    with as_backend_error(f"The networks in {folder} do not run one by one", "export the bundle again"):
        return _try_networks(candidate, networks, folder, reference, limits)


def _try_networks(
    candidate: str, networks: Mapping[str, Network], folder: Path, reference: Reference, limits: Limits
) -> Comparison:
    arrays = dict(reference.sources)
    alone = {role: network for role, network in networks.items() if role != PIPELINE}
    arrays |= {_output(network): reference.outputs[role].astype(np.float32) for role, network in alone.items()}
    outputs = {}
    for role, network in alone.items():
        (name,) = network.inputs
        seen = np.concatenate([arrays[source] for source in network.sees], axis=1)
        outputs[role] = _slices(_session(folder / network.file), {name: seen}, _output(network))
    session = _session(folder / networks[PIPELINE].file)
    given = {name: arrays[name] for name in networks[PIPELINE].inputs}
    outputs[CHAIN] = _slices(session, given, "probability")
    return compare(candidate, outputs, reference, limits, together=session.run(["probability"], given)[0])


def chain_error(pipeline: Network, folder: Path, reference: Reference) -> float:
    """Root mean square error of the probability that a merged network gives in ONNX Runtime."""
    given = {name: reference.sources[name] for name in pipeline.inputs}
    probability = _slices(_session(folder / pipeline.file), given, "probability")
    return float(np.sqrt(((probability - reference.outputs[CHAIN]) ** 2).mean()))


def try_engine(bundle: Bundle, engine: Engine, reference: Reference) -> Comparison:
    """Compare an engine of a bundle with the reference: the whole chain, slice by slice and together."""

    def run(slices: slice) -> NDArray[np.float64]:
        return engine.run(slices_of(reference, slices)).probability.astype(np.float64)

    alone = np.concatenate([run(slice(i, i + 1)) for i in range(len(reference))])
    limits = limits_of(bundle.precision, static_norm=bundle.static_norm)
    return compare(engine.info.backend, {CHAIN: alone}, reference, limits, together=run(slice(None)))


def slices_of(reference: Reference, slices: slice = slice(None)) -> SliceBatch:
    """Slices of a reference as engines take them; they may come from several cases."""
    return SliceBatch(frames=reference.frames[slices], features=reference.features[slices])


def _output(network: Network) -> str:
    (name,) = network.outputs
    return name


def _slices(session: Any, inputs: Mapping[str, NDArray[np.float32]], output: str) -> NDArray[np.float64]:  # noqa: ANN401
    """One output for each slice on its own."""
    count = len(next(iter(inputs.values())))
    rows = [session.run([output], {name: inputs[name][i : i + 1] for name in inputs})[0] for i in range(count)]
    return np.concatenate(rows).astype(np.float64)


def _session(file: Path) -> Any:  # noqa: ANN401  onnxruntime is imported where it is needed
    return open_session(file, file)
