"""The sizes of slices that a network takes."""

from torch import Tensor

from ctpdeploy.errors import InputError

__all__ = ["check_multiple"]


def check_multiple(x: Tensor, stride: int) -> None:
    """Refuse a batch ``(N, C, H, W)`` whose rows or columns a network cannot halve as often as its depth requires.

    Raises:
        InputError: H or W is no multiple of ``stride``.
    """
    if x.shape[-2] % stride or x.shape[-1] % stride:
        raise InputError(f"The networks take slices of multiples of {stride}, not {x.shape[-2]}x{x.shape[-1]}.")
