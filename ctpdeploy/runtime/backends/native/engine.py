"""The backend on ctpdeploy's own kernels."""

from typing import Final

from ctpdeploy import __version__
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.faults import phrase
from ctpdeploy.runtime.backends.native.library import unavailable_because
from ctpdeploy.runtime.backends.native.network import Network
from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph
from ctpdeploy.runtime.backends.processor import processor_name, usable_cores
from ctpdeploy.runtime.backends.slice_engine import SliceEngine
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = ["BACKEND", "NAME", "open_engine", "unavailable_because"]

NAME: Final = "native"


def open_engine(bundle: Bundle) -> SliceEngine:
    """Transform the weights of a bundle's merged network and compare it with NumPy; all cores share a slice's work.

    Raises:
        BackendError: the kernels cannot run the network, or compute it wrongly.
        InputError: the bundle is damaged.
    """
    info = EngineInfo(backend=NAME, device=processor_name(), precision="fp32", versions={"ctpdeploy": __version__})
    return SliceEngine(_open_network(bundle, PIPELINE), bundle.networks[PIPELINE], info)


def _open_network(bundle: Bundle, role: str) -> Network:
    content = bundle.network_content(role)
    try:
        return Network(read_graph(content), usable_cores(), called=NAME)
    except ValueError as error:
        called = bundle.source / bundle.networks[role].file
        raise BackendError(
            f"The backend {NAME} cannot run {called}, because {phrase(error)}: use another one."
        ) from error


BACKEND: Final = Backend(
    extra=None,
    packages=("ctpdeploy",),
    open=open_engine,
    unavailable_because=unavailable_because,
    open_network=_open_network,
)
