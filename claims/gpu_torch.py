"""The networks in PyTorch on a device: what ctpdeploy's backends are compared with, and the device's ceilings."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from peer_networks import Lesion

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid, preprocess
from ctpdeploy.train.networks.chain import Chain

__all__ = ["VARIANTS", "TorchNetworks", "ceilings", "truth"]

Array = NDArray[np.float32]

_SECONDS: Final = 0.5


def synchronise(device: str) -> None:
    """Wait for all work."""
    if device == "cuda":
        torch.cuda.synchronize()


def ceilings(device: str) -> dict[str, float]:
    """Copies in 1e9 bytes a second (read and written on the device; across the bus one way), products in TFLOP/s."""
    gpu = device == "cuda"
    count, order = (1 << 28, 8192) if gpu else (1 << 24, 1024)
    source, target = (torch.ones(count, device=device) for _ in range(2))
    host = torch.ones(count // 4, pin_memory=gpu)
    found = {
        "copy_gb_per_s": 2e-9 * source.nbytes * _a_second(device, lambda: target.copy_(source)),
        "upload_gb_per_s": 1e-9 * host.nbytes * _a_second(device, lambda: target[: len(host)].copy_(host)),
        "download_gb_per_s": 1e-9 * host.nbytes * _a_second(device, lambda: host.copy_(target[: len(host)])),
    }
    for name, dtype, tf32 in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("float16", torch.float16, False),
    ):
        a = torch.ones(order, order, device=device, dtype=dtype)
        with _tf32(tf32):
            found[f"{name}_tflops"] = 2e-12 * order**3 * _a_second(device, lambda a=a: a @ a)
    return found


def truth(chain: Chain, batch: SliceBatch, device: str) -> NDArray[np.float64]:
    """The probability of lesion in float64, slice by slice."""
    double = Lesion(deepcopy(chain).double().to(device))
    with torch.inference_mode():
        slices = [
            double(*(torch.from_numpy(x[i : i + 1]).double().to(device) for x in (batch.frames, batch.features)))
            for i in range(len(batch.frames))
        ]
    return torch.cat(slices).cpu().numpy()


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A way to run the networks in PyTorch.

    Attributes:
        half: in float16, in the order that its convolutions prefer.
        tf32: let float32 convolutions round to 10 bits, as PyTorch does by default.
        compiled: by ``torch.compile`` with ``max-autotune``.
    """

    half: bool = False
    tf32: bool = False
    compiled: bool = False


VARIANTS: Final[dict[str, Variant]] = {
    "torch eager float32": Variant(),
    "torch eager TF32": Variant(tf32=True),
    "torch eager float16 channels-last": Variant(half=True),
    "torch.compile max-autotune float16 channels-last": Variant(half=True, compiled=True),
    "torch.compile max-autotune float32": Variant(compiled=True),
}


class TorchNetworks:
    """The networks of a chain on a device.

    Args:
        chain: in float32.
        variant: how they run.
        device: ``"cuda"``, or ``"cpu"`` in a rehearsal, where nothing is compiled.
    """

    def __init__(self, chain: Chain, variant: Variant, device: str) -> None:
        self._device, self._variant = device, variant
        self._dtype = torch.float16 if variant.half else torch.float32
        self._layout = torch.channels_last if variant.half else torch.contiguous_format
        module = Lesion(deepcopy(chain)).to(device=device, dtype=self._dtype, memory_format=self._layout)
        how = {"mode": "max-autotune"} if device == "cuda" else {"backend": "eager"}
        self._module: Callable[..., torch.Tensor] = (
            torch.compile(module, dynamic=False, **how) if variant.compiled else module
        )

    def run(self, batch: SliceBatch) -> Array:
        """From host memory to host memory."""
        return self._forward(*self._sent(batch)).float().cpu().numpy()

    def predict(self, case: Case, config: PreprocessConfig) -> NDArray[np.bool_]:
        """Series in memory to mask in memory, with NumPy before and after."""
        probability = self.run(preprocess(case, config)[0])
        return network_grid(case, config).restore(probability) > 0.5

    def without_copies(self, batch: SliceBatch) -> Callable[[], None]:
        """The networks alone, on slices that are on the device."""
        given = self._sent(batch)

        def run() -> None:
            self._forward(*given)
            synchronise(self._device)

        return run

    def _sent(self, batch: SliceBatch) -> list[torch.Tensor]:
        return [
            torch.from_numpy(x).to(self._device, self._dtype).contiguous(memory_format=self._layout)
            for x in (batch.frames, batch.features)
        ]

    def _forward(self, *given: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), _tf32(self._variant.tf32):
            return self._module(*given)


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether float32 products may be rounded."""
    backends: Any = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = allowed
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            backend.allow_tf32 = value


def _a_second(device: str, run: Callable[[], object]) -> float:
    """Runs of a task in a second, queued in a row."""
    run()
    synchronise(device)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < _SECONDS:
        for _ in range(5):
            run()
        synchronise(device)
        count += 5
    return count / (time.perf_counter() - start)
