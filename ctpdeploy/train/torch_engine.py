"""The networks as an engine of the runtime, in eager PyTorch: the reference for every export."""

import numpy as np
import torch
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.engine import Engine, closed
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.train.networks.chain import Chain

__all__ = ["TorchEngine", "run_chain"]

_NAME = "torch"
SLICES_AT_ONCE = 4
"""Bounds the memory; a slice gives the same outputs in every batch."""


class TorchEngine(Engine):
    """Runs a chain where its weights are, in float32; fulfils :class:`ctpdeploy.runtime.backends.engine.Engine`.

    Args:
        chain: put into evaluation mode.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain: Chain | None = chain.eval()
        self._device = next(chain.parameters()).device

    @property
    def info(self) -> EngineInfo:
        """The backend, processor and packages that really run."""
        on_gpu = self._device.type == "cuda"
        return EngineInfo(
            backend=_NAME,
            device=torch.cuda.get_device_name(self._device) if on_gpu else "CPU",
            precision="fp32",
            versions={"torch": torch.__version__},
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch.

        Raises:
            InputError: rows or columns are no multiples of 16, or the networks see a DWI that the case has not.
            BackendError: the engine is closed.
        """
        if self._chain is None:
            raise closed(_NAME)
        outputs = run_chain(self._chain, batch)
        logits = torch.from_numpy(outputs.pop("logits"))
        return SliceOutputs(probability=logits.softmax(dim=1)[:, 1].numpy(), **outputs)

    def close(self) -> None:
        """Let go of the chain, which belongs to whoever made it."""
        self._chain = None


@torch.inference_mode()
def run_chain(chain: Chain, batch: SliceBatch, upto: str = "segmenter") -> dict[str, NDArray[np.float32]]:
    """Outputs of the networks, by their names; arguments as those of :class:`Chain`.

    Raises:
        InputError: as :meth:`TorchEngine.run`.
    """
    inputs = {"frames": batch.frames, "features": batch.features}
    if batch.dwi is not None:
        inputs["dwi"] = batch.dwi
    elif any("dwi" in sees for sees in chain.wiring.values()):
        raise InputError("This system sees the real DWI, and the case has none (MR_DWI): take another system.")
    device = next(chain.parameters()).device
    parts = []
    for start in range(0, len(batch.frames), SLICES_AT_ONCE):
        part = slice(start, start + SLICES_AT_ONCE)
        outputs = chain(**{name: torch.tensor(array[part], device=device) for name, array in inputs.items()}, upto=upto)
        parts.append({name: output.cpu().numpy() for name, output in outputs.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
