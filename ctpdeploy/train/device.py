"""The default device of the networks."""

import torch

__all__ = ["default_device"]


def default_device() -> str:
    """CUDA where there is one, else the CPU; in PyTorch's words."""
    return "cuda" if torch.cuda.is_available() else "cpu"
