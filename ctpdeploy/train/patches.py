"""Class-balanced patches: what a network learns from in the place of whole slices, where its system says so.

There is one for each slice of a mini-batch. Every other one is centred on a lesion pixel of a slice with lesion, both
drawn at random, as far as the edge of the slice lets it; the others lie anywhere in the slices whose turn it is. A
patch has half the rows and columns of a slice, rounded up to multiples of the networks' stride.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ctpdeploy.runtime.data.case import BoolArray
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.networks.unet import STRIDE

__all__ = ["Patches", "draw_patches", "patch_side"]


class Patches(NamedTuple):
    """Patches of a mini-batch.

    Attributes:
        balancing: which are to lie on a lesion, bool ``(N,)``.
        random: where each lies, uniform in [0, 1), ``(N, 3)``: the slice, if with lesion; the lesion pixel, or the row;
            the column.
    """

    balancing: BoolArray
    random: NDArray[np.float64]

    def part(self, chosen: slice) -> "Patches":
        """Those of some of the slices."""
        return Patches(self.balancing[chosen], self.random[chosen])

    def choose(self, turn: Tensor, lesioned: Tensor) -> Tensor:
        """Numbers of the slices of which they are cut.

        Args:
            turn: numbers of the slices whose turn it is, ``(N,)``.
            lesioned: numbers of all slices with lesion; if there is none nothing is exchanged.
        """
        if not len(lesioned):
            return turn
        drawn = lesioned[torch.from_numpy((self.random[:, 0] * len(lesioned)).astype(np.int64))]
        return torch.where(torch.from_numpy(self.balancing), drawn, turn)

    def cut(self, batch: Batch) -> Batch:
        """Cut them out of the slices chosen; A stays that of the whole slice."""
        shape = batch.lesion.shape[1:]
        height, width = map(patch_side, shape)
        corners = []
        for lesion, balancing, (_, first, second) in zip(batch.lesion, self.balancing, self.random, strict=True):
            row, column = first * (shape[0] - height + 1), second * (shape[1] - width + 1)
            if balancing and len(pixels := lesion.nonzero()):  # a small one may be lost where the slice was resized
                centre = pixels[int(first * len(pixels))].tolist()
                row, column = centre[0] - height // 2, centre[1] - width // 2
            corners.append((int(np.clip(row, 0, shape[0] - height)), int(np.clip(column, 0, shape[1] - width))))

        def crop(tensor: Tensor) -> Tensor:
            parts = (
                image[..., row : row + height, column : column + width]
                for image, (row, column) in zip(tensor, corners, strict=True)
            )
            return torch.stack(list(parts))

        return batch.map(crop)


def patch_side(side: int) -> int:
    """Rows or columns of a patch of a slice with so many."""
    return -(-side // (2 * STRIDE)) * STRIDE


def draw_patches(slices: int, *, seed: int, epoch: int, step: int) -> Patches:
    """Draw for each slice of a mini-batch; a function of the arguments alone, so that a run can be resumed anywhere."""
    random = np.random.default_rng(np.random.SeedSequence([seed, epoch], spawn_key=(step, 1)))
    balancing = (step * slices + np.arange(slices)) % 2 == 1
    return Patches(balancing, random.random((slices, 3)))
