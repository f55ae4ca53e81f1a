from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional as f

from ctpdeploy.train.networks.fcn import FCN


def reference(parameters: Iterator[Tensor], x: Tensor) -> Tensor:
    """FCN-8s on VGG16, from its parameters in order, with the statistics of the batch."""

    def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        deviation = ((x - mean).square().mean(dim=(0, 2, 3), keepdim=True) + 1e-5).sqrt()
        return (x - mean) / deviation * weight[:, None, None] + bias[:, None, None]

    outputs = []
    for convolutions in (2, 2, 3, 3, 3):
        for _ in range(convolutions):
            x = f.conv2d(x, next(parameters), next(parameters), padding=1).relu()
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
        outputs.append(x)
    x1, x2, x3, x4, x5 = outputs
    up = [(next(parameters), next(parameters)) for _ in range(5)]
    norm = [(next(parameters), next(parameters)) for _ in range(5)]
    head = next(parameters), next(parameters)

    def risen(x: Tensor, k: int) -> Tensor:
        return f.conv_transpose2d(x, *up[k], stride=2, padding=1, output_padding=1).relu()

    s = normalised(risen(x5, 0) + x4, *norm[0])
    s = normalised(risen(s, 1) + x3, *norm[1])
    s = normalised(risen(s, 2), *norm[2])
    s = normalised(risen(s, 3), *norm[3])
    s = normalised(risen(s, 4), *norm[4])
    assert x1.shape[1:] != x2.shape[1:]
    return f.conv2d(s, *head)


@pytest.fixture
def network() -> FCN:
    generator = torch.Generator().manual_seed(0)
    network = FCN(3, 2, 4).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    return network


def test_agrees_with_a_restatement_of_the_wiring(network: FCN) -> None:
    x = torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(x), reference(network.parameters(), x), rtol=1e-9, atol=1e-9)


def test_last_decoder_stage_has_half_the_width() -> None:
    assert FCN(3, 2, 8).head.in_channels == 4
