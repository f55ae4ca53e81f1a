"""The networks as an engine of the runtime, in eager PyTorch: the reference for every export."""

import numpy as np
import torch
from numpy.typing import NDArray

from ctpdeploy.runtime.engine import EngineInfo, SliceOutputs
from ctpdeploy.runtime.preprocess import SliceBatch
from ctpdeploy.train.networks.chain import Chain

__all__ = ["TorchEngine"]

SLICES_AT_ONCE = 4
"""Bounds the memory; a slice gives the same outputs in every batch."""


class TorchEngine:
    """Runs a chain where its weights are, in float32; fulfils :class:`ctpdeploy.runtime.engine.Engine`.

    Args:
        chain: put into evaluation mode.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain.eval()
        self._device = next(chain.parameters()).device

    @property
    def info(self) -> EngineInfo:
        """What really runs."""
        on_gpu = self._device.type == "cuda"
        return EngineInfo(
            backend="torch",
            device=torch.cuda.get_device_name(self._device) if on_gpu else "CPU",
            precision="fp32",
            versions={"torch": torch.__version__},
        )

    @torch.inference_mode()
    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch.

        Raises:
            InputError: rows or columns are no multiples of 16.
        """
        starts = range(0, len(batch.frames), SLICES_AT_ONCE)
        outputs = [self._run_part(batch, slice(start, start + SLICES_AT_ONCE)) for start in starts]
        extractor, pseudo_dwi, probability = (np.concatenate(arrays) for arrays in zip(*outputs, strict=True))
        return SliceOutputs(extractor=extractor, pseudo_dwi=pseudo_dwi, probability=probability)

    def _run_part(self, batch: SliceBatch, part: slice) -> tuple[NDArray[np.float32], ...]:
        frames, features = (torch.tensor(array[part], device=self._device) for array in (batch.frames, batch.features))
        extractor, pseudo_dwi, logits = self._chain(frames, features)
        return tuple(x.cpu().numpy() for x in (extractor, pseudo_dwi, logits.softmax(dim=1)[:, 1]))
