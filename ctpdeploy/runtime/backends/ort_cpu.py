"""ONNX Runtime on the CPU: the backend that runs everywhere."""

import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ctpdeploy.errors import BackendError
from ctpdeploy.optional import available, require
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

__all__ = [
    "NAME",
    "OrtCpuEngine",
    "in_float32",
    "open_engine",
    "open_session",
    "session_options",
    "unavailable_because",
]

NAME = "ort-cpu"
_PROVIDER = "CPUExecutionProvider"


def unavailable_because() -> str | None:
    """Why the backend cannot run here and what to do, or None if it can."""
    if not available("onnxruntime"):
        return "onnxruntime is not installed: run pip install 'ctpdeploy[cpu]'."
    if not hasattr(require("onnxruntime", extra="cpu"), "InferenceSession"):
        return "onnxruntime is half removed: run pip install --force-reinstall onnxruntime."
    return None


def open_engine(bundle: Bundle) -> "OrtCpuEngine":
    """Load the merged network of a bundle.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the network.
        InputError: the bundle is damaged.
    """
    called = bundle.source / bundle.networks[PIPELINE].file
    return OrtCpuEngine.of(bundle.network_file(PIPELINE), bundle.precision, called)


def in_float32(bundle: Bundle) -> Callable[[], "OrtCpuEngine"]:
    """What opens the merged network in float32, of whatever precision it is, also when the bundle is closed.

    On the CPU ONNX Runtime has no arithmetic in half, and joins the casts that it would need: nothing is rounded to
    half, and nothing overflows. Quantised data are multiplied in float32, see :func:`session_options`.

    Raises:
        InputError: the bundle is damaged.
    """
    content = bundle.network_content(PIPELINE)
    return partial(OrtCpuEngine.of, content, "fp32", bundle.source / bundle.networks[PIPELINE].file)


def session_options() -> Any:  # noqa: ANN401  onnxruntime is imported where it is needed
    """How sessions compute: as the graph says.

    By default INT8 runs in fused kernels, whose sums saturate on processors without VNNI: of an extractor whose outputs
    reach 1.4 they were off by 1.7. As written, quantised data go back to float32 before they are multiplied.
    """
    options = require("onnxruntime", extra="cpu").SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return options


def open_session(network: Path | bytes, called: Path) -> Any:  # noqa: ANN401  as above
    """A session on the CPU.

    Args:
        network: an ONNX file, or the content of one.
        called: what the user calls it, for the errors.

    Raises:
        BackendError: ONNX Runtime is missing or refuses the network.
    """
    reason = unavailable_because()
    if reason is not None:
        raise BackendError(f"The backend {NAME} cannot run: {reason}")
    onnxruntime = require("onnxruntime", extra="cpu")
    try:
        return onnxruntime.InferenceSession(network, session_options(), providers=[_PROVIDER])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise BackendError(f"ONNX Runtime {onnxruntime.__version__} refuses {called}: {error}") from error


class OrtCpuEngine:
    """The merged network in one ONNX Runtime session.

    Slices go one at a time: a slice keeps all cores busy, and a batch would only take more memory.

    Args:
        session: from :func:`open_session`.
        precision: number format of the network's arithmetic.
    """

    def __init__(self, session: Any, precision: str) -> None:  # noqa: ANN401  onnxruntime is imported where it is needed
        self._session = session
        self._precision = precision
        self._inputs = [value.name for value in session.get_inputs()]
        self._outputs = [value.name for value in session.get_outputs()]

    @classmethod
    def of(cls, network: Path | bytes, precision: str, called: Path) -> "OrtCpuEngine":
        """Load a merged network.

        Args:
            network: its file, or the content of it.
            precision: number format of its arithmetic.
            called: what the user calls it, for the errors.

        Raises:
            BackendError: ONNX Runtime is missing or refuses the network.
        """
        return cls(open_session(network, called), precision)

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        return EngineInfo(
            backend=NAME,
            device=platform.processor() or platform.machine(),
            precision=self._precision,
            versions={"onnxruntime": require("onnxruntime", extra="cpu").__version__},  # whichever distribution it is
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch."""
        given = {"frames": batch.frames, "features": batch.features}
        slices = [
            self._session.run(self._outputs, {name: given[name][i : i + 1] for name in self._inputs})
            for i in range(len(batch.frames))
        ]
        parts = zip(*slices, strict=True)
        return SliceOutputs(**{name: np.concatenate(part) for name, part in zip(self._outputs, parts, strict=True)})
