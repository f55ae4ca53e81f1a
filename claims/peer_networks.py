"""The same networks on one slice, as a user of each package would run them; every peer is a maker by its name.

A maker returns what takes frames ``(1, 6, H, W)`` and features ``(1, 5, H, W)`` and returns the probability of lesion,
``(1, H, W)``. What a package needs to get ready (conversion, compilation) happens in the maker or in the first call,
which is not timed.
"""

import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.ort_cuda import backend as ort_cuda
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.train.networks.chain import Chain

__all__ = ["EAGER", "ORT", "OURS", "PEERS", "Lesion", "Networks", "Peer", "on_slices", "open_ours"]

Array = NDArray[np.float32]
Peer = Callable[[Array, Array], Array]

EAGER: Final = "torch eager"
OURS: Final[Mapping[str, str]] = {
    f"ctpdeploy {name}": name for name in BACKENDS if name not in {*TENSORRT_PACKAGES, ort_cuda.NAME}
}
"""Every backend of ctpdeploy that runs on the processor, by what it is called here."""
ORT: Final = "ctpdeploy ort-cpu"


@dataclass(frozen=True, kw_only=True)
class Networks:
    """Networks that peers run: the trained chain, and the bundle that was exported from it."""

    chain: Chain
    bundle: Bundle


def open_ours(bundle: Bundle, backend: str) -> Engine:
    """Open a backend of ctpdeploy.

    Raises:
        ImportError: it cannot run here.
        BackendError: it can, and does not take these networks or computes them wrongly: no reason to leave it out.
    """
    if reason := BACKENDS[backend].refusal():
        raise ImportError(reason)
    return open_engine(bundle, backend)


class Lesion(nn.Module):
    """The probability of lesion alone."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        self.eval()

    def forward(self, frames: Tensor, features: Tensor) -> Tensor:
        """``(N, H, W)``."""
        return self.chain(frames, features)["logits"].softmax(1)[:, 1]


def on_slices(
    module: Callable[[Tensor, Tensor], Tensor], layout: torch.memory_format = torch.contiguous_format
) -> Peer:
    """NumPy in, NumPy out."""

    def run(frames: Array, features: Array) -> Array:
        with torch.inference_mode():
            given = [torch.from_numpy(x).contiguous(memory_format=layout) for x in (frames, features)]
            return module(*given).numpy()

    return run


def _eager(networks: Networks) -> Peer:
    return on_slices(Lesion(networks.chain))


def _channels_last(networks: Networks) -> Peer:
    module = Lesion(deepcopy(networks.chain)).to(memory_format=torch.channels_last)
    return on_slices(module, torch.channels_last)


def _compiled(mode: str) -> Callable[[Networks], Peer]:
    def make(networks: Networks) -> Peer:
        torch._dynamo.reset()
        return on_slices(torch.compile(Lesion(deepcopy(networks.chain)), mode=mode))

    return make


def _plain_onnx(networks: Networks) -> Peer:
    """``torch.onnx.export`` as in its tutorial, in a session with default options."""
    import onnxruntime

    rows, columns = networks.bundle.preprocess.slice_shape
    example = tuple(torch.zeros(1, channels, rows, columns) for channels in (networks.bundle.preprocess.frames, 5))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plain.onnx"
        torch.onnx.export(Lesion(networks.chain), example, file, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))[0]


def _backend(name: str) -> Callable[[Networks], Peer]:
    def make(networks: Networks) -> Peer:
        engine = open_ours(networks.bundle, name)
        return lambda frames, features: engine.run(SliceBatch(frames=frames, features=features)).probability

    return make


PEERS: Final[Mapping[str, Callable[[Networks], Peer]]] = {
    EAGER: _eager,
    "torch channels-last": _channels_last,
    "torch.compile": _compiled("default"),
    "torch.compile max-autotune": _compiled("max-autotune"),
    "ONNX Runtime, plain export": _plain_onnx,
    **{called: _backend(name) for called, name in OURS.items()},
}
