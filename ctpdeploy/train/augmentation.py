"""Random changes of the training slices: mirrored, turned, made larger or smaller; none in the source.

With coordinates from the centre of the slice, columns first and in pixels, the new slice takes at p what the old one
has at::

    F R(-angle) p / size        R(a) = [[cos a, -sin a], [sin a, cos a]],  F = diag(-1, 1) where mirrored

so that a point of the old slice moves to ``size R(angle) F`` times where it was. Outside the old slice there is 0, the
scaled value of air.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.losses.weight_map import weight_map
from ctpdeploy.train.settings import AugmentConfig, LossConfig

__all__ = ["Poses", "augment", "draw_poses"]


class Poses(NamedTuple):
    """Poses of the slices of a mini-batch.

    Attributes:
        mirrored: bool ``(N,)``.
        matrix: R(-angle) / size, float32 ``(N, 2, 2)``; None where no slice is turned or resized.
    """

    mirrored: Tensor
    matrix: Tensor | None

    def part(self, chosen: slice) -> "Poses":
        """Those of some of the slices."""
        return Poses(self.mirrored[chosen], None if self.matrix is None else self.matrix[chosen])


def draw_poses(config: AugmentConfig, slices: int, *, seed: int, epoch: int, step: int) -> Poses:
    """Draw for each slice of a mini-batch; a function of the arguments alone, so that a run can be resumed anywhere.

    Each change has its own random numbers, used or not: to allow one leaves the others as they were.
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, epoch], spawn_key=(step,)))
    mirror, angle, size = random.random((3, slices))
    mirrored = torch.from_numpy(mirror < 0.5) & config.flip
    if config.rotation == 0.0 and config.scaling == 0.0:
        return Poses(mirrored, None)
    angle = np.deg2rad(config.rotation) * (2 * angle - 1)
    size = 1 + config.scaling * (2 * size - 1)
    cos, sin = np.cos(angle) / size, np.sin(angle) / size
    matrix = np.stack([cos, sin, -sin, cos], axis=-1).reshape(slices, 2, 2)
    return Poses(mirrored, torch.from_numpy(matrix.astype(np.float32)))


def augment(batch: Batch, poses: Poses, loss: LossConfig) -> Batch:
    """Change each slice of a mini-batch, where it is; without any change the batch itself is returned.

    Images are interpolated linearly, and so is the lesion, whose pixels are then those of at least one half. A is that
    of the new lesion (equation 9): its distances are in pixels of the new slice.
    """
    if poses.mirrored.any():
        batch = _mirror(batch, poses.mirrored.to(batch.lesion.device))
    if poses.matrix is not None:
        batch = _warp(batch, poses.matrix.to(batch.lesion.device), loss)
    return batch


def _mirror(batch: Batch, mirrored: Tensor) -> Batch:
    """Left and right exchanged, A with them: mirroring keeps all distances."""

    def mirror(tensor: Tensor) -> Tensor:
        return torch.where(mirrored.view(-1, *[1] * (tensor.ndim - 1)), tensor.flip(-1), tensor)

    return batch.map(mirror)


def _warp(batch: Batch, matrix: Tensor, loss: LossConfig) -> Batch:
    """Turned and resized."""
    images = [image for image in (batch.frames, batch.features, batch.dwi) if image is not None]
    stack = torch.cat([*images, batch.lesion[:, None].float()], dim=1)
    warped = functional.grid_sample(stack, _grid(matrix, *stack.shape[2:]), align_corners=False)
    frames, features, *dwi, shape = torch.split(warped, [*(image.shape[1] for image in images), 1], dim=1)
    lesion = shape[:, 0] >= 0.5
    weight = weight_map(lesion.cpu().numpy(), lesion_weight=loss.lesion_weight, decay=loss.decay)
    return Batch(
        frames=frames.contiguous(),
        features=features.contiguous(),
        dwi=dwi[0].contiguous() if dwi else None,
        lesion=lesion,
        weight=torch.from_numpy(weight).to(lesion.device),
    )


def _grid(matrix: Tensor, height: int, width: int) -> Tensor:
    """Source coordinates of each new pixel, ``(N, H, W, 2)`` in units in which the slice spans -1 .. 1.

    Not ``affine_grid``: as a matrix product it loses digits, and the slices their place, where float32 products may be
    rounded to TF32 or bfloat16.
    """
    x = torch.arange(width, device=matrix.device) - (width - 1) / 2
    y = torch.arange(height, device=matrix.device)[:, None] - (height - 1) / 2
    xx, xy, yx, yy = matrix.view(-1, 4, 1, 1).unbind(dim=1)
    return torch.stack([(xx * x + xy * y) * (2 / width), (yx * x + yy * y) * (2 / height)], dim=-1)
