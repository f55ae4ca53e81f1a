"""The two parts of the synthesis loss L_g = l_l + gamma l_h (equations 6 to 8)."""

from torch import Tensor

__all__ = ["context_loss", "pixel_loss"]


def pixel_loss(image: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """l_l, the mean over batch and pixels of (A (I_g - I_d))^2 (equation 7).

    The source prints an L2 norm and motivates it by the mean squared error, which does not depend on the size of
    the slices; as printed, A stands inside the square.

    Args:
        image: I_g, ``(N, 1, H, W)``.
        target: I_d, ``(N, 1, H, W)``.
        weight: A, ``(N, H, W)``.
    """
    return (weight.unsqueeze(1) * (image - target)).square().mean()


def context_loss(code: Tensor, target: Tensor) -> Tensor:
    """l_h, the mean absolute difference of what Phi_c says of two images, each ``(N, 16)`` (equation 8)."""
    return (code - target).abs().mean()
