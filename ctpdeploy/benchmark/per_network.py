"""Each network of a bundle alone, to share the time of the chain among them."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.runtime.backends.slices import Slice
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.gate.reference import Reference

__all__ = ["networks_alone"]


def networks_alone(bundle: Bundle, backend: str, reference: Reference) -> dict[str, Callable[[], object]]:
    """A function that runs one slice through a network, by its role.

    Empty for a bundle with one network, and for backends that run the merged network only.

    Raises:
        InputError: the bundle is damaged.
        BackendError: the backend refuses a network; the functions also where it does not run.
    """
    roles = [role for role in bundle.networks if role != PIPELINE]
    open_network = BACKENDS[backend].open_network if backend in BACKENDS else None
    if open_network is None or len(roles) == 1:
        return {}
    arrays, found = dict(reference.sources), dict[str, Callable[[], object]]()
    for role in roles:
        fault = f"The {role} of {bundle.source} does not run alone on {backend}"
        ours = partial(as_backend_error, fault, "export the bundle again")
        with ours():
            (output,) = bundle.networks[role].outputs
            arrays[output] = reference.outputs[role].astype(np.float32)
            found[role] = ours()(partial(open_network(bundle, role).run, _first_slice(bundle, role, arrays)))
    return found


def _first_slice(bundle: Bundle, role: str, arrays: Mapping[str, NDArray[np.float32]]) -> Slice:
    """Inputs of a network for the first slice."""
    network = bundle.networks[role]
    (name,) = network.inputs
    return {name: np.concatenate([arrays[source][0] for source in network.sees])}
