"""The context encoder Phi_c."""

import torch

from ctpdeploy.train.networks import ContextEncoder


def test_context_encoder_gives_sixteen_numbers_at_any_size() -> None:
    for size in (32, 128, 256):
        assert ContextEncoder()(torch.rand(3, 1, size, size)).shape == (3, 16)
