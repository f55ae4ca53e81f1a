"""ONNX Runtime on the CPU: the backend that runs everywhere."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.faults import as_backend_error
from ctpdeploy.runtime.backends.packages import refusal_of, require_whole
from ctpdeploy.runtime.backends.processor import processor_name
from ctpdeploy.runtime.backends.slice_engine import SliceEngine
from ctpdeploy.runtime.backends.slices import Slice
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle, Network
from ctpdeploy.runtime.data.prediction import EngineInfo

__all__ = [
    "BACKEND",
    "NAME",
    "OrtNetwork",
    "in_float32",
    "open_engine",
    "open_session",
    "session_options",
    "unavailable_because",
]

NAME: Final = "ort-cpu"
_EXTRA: Final = "cpu"
_PROVIDER: Final = "CPUExecutionProvider"

_package = partial(require_whole, "onnxruntime", extra=_EXTRA, has="InferenceSession")


def unavailable_because() -> str | None:
    """Reason why the backend cannot run here and the remedy, or None if it can."""
    return refusal_of(_package)


def open_engine(bundle: Bundle) -> SliceEngine:
    """Load the merged network of a bundle.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the network.
        InputError: the bundle is damaged.
    """
    return _engine(_open_network(bundle, PIPELINE), bundle.networks[PIPELINE], bundle.precision)


def in_float32(bundle: Bundle) -> Callable[[], SliceEngine]:
    """A function that opens the merged network in float32, of whatever precision it is, also when the bundle is closed.

    On the CPU ONNX Runtime has no arithmetic in half, and joins the casts that it would need: nothing is rounded to
    half, and nothing overflows. Quantised data are multiplied in float32, see :func:`session_options`.

    Raises:
        InputError: the bundle is damaged.
    """
    content, sealed = bundle.network_content(PIPELINE), bundle.networks[PIPELINE]
    return lambda: _engine(OrtNetwork(open_session(content, bundle.source / sealed.file)), sealed, "fp32")


def session_options() -> Any:  # noqa: ANN401  onnxruntime is imported where it is needed
    """Options of a session that computes exactly as in its graph.

    By default INT8 runs in fused kernels, whose sums saturate on processors without VNNI: of an extractor whose outputs
    reach 1.4 they were off by 1.7. As written, quantised data go back to float32 before they are multiplied.
    """
    options = _package().SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def open_session(network: Path | bytes, called: Path) -> Any:  # noqa: ANN401  as above
    """A session on the CPU.

    Args:
        network: an ONNX file, or the content of one.
        called: path in error messages.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the network.
    """
    onnxruntime = _package()
    with as_backend_error(f"ONNX Runtime {onnxruntime.__version__} refuses {called}", "export the bundle again"):
        return onnxruntime.InferenceSession(network, session_options(), providers=[_PROVIDER])


class OrtNetwork:
    """A network in one ONNX Runtime session.

    Slices go one at a time: a slice keeps all cores busy, and a batch would only take more memory.

    Args:
        session: from :func:`open_session`.
    """

    def __init__(self, session: Any) -> None:  # noqa: ANN401  onnxruntime is imported where it is needed
        self._session = session
        self._inputs = [value.name for value in session.get_inputs()]
        self._outputs = [value.name for value in session.get_outputs()]

    def run(self, inputs: Slice) -> Slice:
        """Run one slice."""
        found = self._session.run(self._outputs, {name: inputs[name][None] for name in self._inputs})
        return {name: array.reshape(-1, *array.shape[-2:]) for name, array in zip(self._outputs, found, strict=True)}

    def close(self) -> None:
        """Drop the session, whose threads end with it."""
        self._session = None


def _open_network(bundle: Bundle, role: str) -> OrtNetwork:
    return OrtNetwork(open_session(bundle.network_file(role), bundle.source / bundle.networks[role].file))


def _engine(network: OrtNetwork, sealed: Network, precision: str) -> SliceEngine:
    info = EngineInfo(
        backend=NAME,
        device=processor_name(),
        precision=precision,
        versions={"onnxruntime": _package().__version__},  # whichever distribution it is
    )
    return SliceEngine(network, sealed, info)


BACKEND: Final = Backend(
    extra=_EXTRA,
    packages=("onnxruntime",),
    open=open_engine,
    unavailable_because=unavailable_because,
    open_network=_open_network,
)
