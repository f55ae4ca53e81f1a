"""The two parts of the synthesis loss L_g = l_l + gamma l_h (equations 6 to 8), and the variants of table 1.

Means and sums run over the mini-batch, in all processes.
"""

from typing import Literal

import torch
from torch import Tensor

from ctpdeploy.paper.systems import Pixel
from ctpdeploy.train.all_reduce import batch_mean, batch_sum

__all__ = ["PixelNorm", "context_loss", "pixel_loss"]

PixelNorm = Literal["mean", "norm_per_image", "sum"]


def pixel_loss(
    image: Tensor, target: Tensor, weight: Tensor, *, kind: Pixel = "wl2", norm: PixelNorm = "mean"
) -> Tensor:
    """l_l of the difference d = A (I_g - I_d), where A is 1 but for the weighted kind (equation 7).

    The source prints an L2 norm and motivates it by the mean squared error, which does not depend on the size of
    the slices; as printed, A stands inside the square. ``norm`` chooses::

        mean             mean over batch and pixels of d^2        of |d| for the kind l1
        sum              sum over batch and pixels                likewise
        norm_per_image   mean over the batch of ||d||_2           of ||d||_1

    Args:
        image: I_g, ``(N, 1, H, W)``.
        target: I_d, ``(N, 1, H, W)``.
        weight: A, ``(N, H, W)``; only the weighted kind looks at it.
        kind: absolute difference, square or weighted square.
        norm: how the pixels add up.
    """
    difference = image - target
    if kind == "wl2":
        difference = weight.unsqueeze(1) * difference
    order = 1 if kind == "l1" else 2
    if norm == "norm_per_image":
        return batch_mean(torch.linalg.vector_norm(difference, ord=order, dim=(1, 2, 3)))
    powers = difference.abs() if order == 1 else difference.square()
    return batch_mean(powers) if norm == "mean" else batch_sum(powers.sum())


def context_loss(code: Tensor, target: Tensor, *, order: Literal[1, 2] = 1) -> Tensor:
    """l_h of the codes Phi_c of two images, the mean absolute difference or the mean square (equation 8).

    Args:
        code: Phi_c(I_g), ``(N, 16)``.
        target: Phi_c(I_d), ``(N, 16)``.
        order: 1 for l_h1, 2 for l_h2.
    """
    difference = code - target
    return batch_mean(difference.abs() if order == 1 else difference.square())
