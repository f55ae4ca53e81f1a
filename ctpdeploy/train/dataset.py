"""Cases as training material: read and preprocessed once, kept in memory as float32."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.case import BoolArray, Case
from ctpdeploy.runtime.isles2018 import read_case
from ctpdeploy.runtime.preprocess import SliceBatch, preprocess, scale_dwi, to_network_grid
from ctpdeploy.train.losses.weight_map import weight_map
from ctpdeploy.train.settings import TrainConfig

__all__ = ["Batch", "LabelledCase", "SliceDataset", "label", "read_labelled"]


@dataclass(frozen=True, kw_only=True)
class LabelledCase:
    """The slices of a case with what the networks should make of them, on the networks' grid.

    Attributes:
        identifier: name of the case.
        inputs: what the networks take.
        dwi: I_d, float32 ``(N, 1, H, W)`` in [0, 1].
        lesion: bool ``(N, H, W)``.
        weight: A, float32 ``(N, H, W)``.
    """

    identifier: str
    inputs: SliceBatch
    dwi: NDArray[np.float32]
    lesion: BoolArray
    weight: NDArray[np.float32]


def read_labelled(folder: Path, config: TrainConfig) -> LabelledCase:
    """Read a case folder and preprocess it for training; the raw series is not kept.

    Raises:
        InputError: the case cannot be read, or has no DWI or no lesion.
    """
    return label(read_case(folder), config)


def label(case: Case, config: TrainConfig) -> LabelledCase:
    """Preprocess a case for training.

    Raises:
        InputError: it has no DWI or no lesion.
    """
    if case.dwi is None:
        raise InputError(f"{case.identifier} has no DWI: it is the target of synthesis, training needs it.")
    if case.lesion is None:
        raise InputError(f"{case.identifier} has no lesion mask (OT): it is the target of segmentation.")
    dwi = to_network_grid(scale_dwi(case.dwi, config.preprocess), case, config.preprocess)
    lesion = to_network_grid(case.lesion.astype(np.float32), case, config.preprocess) >= 0.5
    weight = weight_map(lesion, lesion_weight=config.loss.lesion_weight, decay=config.loss.decay)
    inputs = preprocess(case, config.preprocess)
    return LabelledCase(identifier=case.identifier, inputs=inputs, dwi=dwi[:, None], lesion=lesion, weight=weight)


class Batch(NamedTuple):
    """A mini-batch of slices.

    Attributes:
        frames: I*, float32 ``(N, 6, H, W)``.
        features: F_o and F_l, float32 ``(N, 5, H, W)``.
        dwi: I_d, float32 ``(N, 1, H, W)``.
        lesion: truth, bool ``(N, H, W)``.
        weight: A, float32 ``(N, H, W)``.
    """

    frames: Tensor
    features: Tensor
    dwi: Tensor
    lesion: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return Batch(*(tensor.to(device) for tensor in self))


class SliceDataset:
    """All slices of the training cases, and their order.

    Args:
        cases: one or more.
    """

    def __init__(self, cases: Sequence[LabelledCase]) -> None:
        self.slices = Batch(
            frames=_joined([case.inputs.frames for case in cases]),
            features=_joined([case.inputs.features for case in cases]),
            dwi=_joined([case.dwi for case in cases]),
            lesion=_joined([case.lesion for case in cases]),
            weight=_joined([case.weight for case in cases]),
        )

    def __len__(self) -> int:
        return len(self.slices.dwi)

    def sha256(self) -> str:
        """Digest of all that is trained on, hexadecimal: the same material gives the same digest."""
        digest = hashlib.sha256()
        for tensor in self.slices:
            digest.update(np.ascontiguousarray(tensor.numpy()).data)
        return digest.hexdigest()

    def batches(self, batch_size: int, *, seed: int, epoch: int) -> Iterator[Batch]:
        """The mini-batches of an epoch; their order depends on nothing but the arguments.

        An incomplete last batch is dropped, as statistics over a single slice are not those that SLNet meets
        elsewhere; a data set smaller than one batch makes one batch of all.
        """
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(self)))
        for step in range(self.steps(batch_size)):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            yield Batch(*(tensor[chosen] for tensor in self.slices))

    def steps(self, batch_size: int) -> int:
        """Number of mini-batches of an epoch."""
        return max(len(self) // batch_size, 1)


def _joined(arrays: Sequence[NDArray[np.float32] | BoolArray]) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays))
