import copy

import numpy as np
import pytest
import torch
from torch import nn

from ctpdeploy.export.fold import FoldedSwitchNorm, fold, fold_batch_norm
from ctpdeploy.train.networks.slnet import SLNet
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d
from ctpdeploy.train.networks.unet import UNet


def shaken(module: nn.Module, *shape: int) -> nn.Module:
    """A module whose every weight and running statistic is away from its start, in evaluation, float64."""
    generator = torch.Generator().manual_seed(5)
    module = module.double()
    for parameter in module.parameters():
        scale = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.3
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        parameter.data = noise * scale + (parameter.ndim == 1)
    module.train()
    with torch.no_grad():
        for _ in range(3):
            module(torch.randn(4, *shape, generator=generator, dtype=torch.float64) * 2 + 1)
    return module.eval()


@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm_folds_exactly(bias: bool):
    pair = shaken(nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=bias), nn.BatchNorm2d(5)), 3, 8, 8)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(fold_batch_norm(pair[0], pair[1])(x), pair(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("size", [(2, 2), (16, 16), (5, 9)])
def test_switch_norm_folds_exactly(unbiased: bool, size: tuple[int, int]):
    norm = shaken(SwitchNorm2d(6, unbiased=unbiased), 6, *size)
    x = torch.randn(3, 6, *size, dtype=torch.float64) * 3 - 2
    torch.testing.assert_close(FoldedSwitchNorm(norm)(x), norm(x), rtol=1e-12, atol=1e-12)


def test_the_bessel_factor_matters():
    """Negative case: without n/(n-1) the folded layer is wrong by far more than rounding."""
    norm = shaken(SwitchNorm2d(6, unbiased=True), 6, 4, 4)
    folded = FoldedSwitchNorm(norm)
    folded.unbiased = False
    x = torch.randn(3, 6, 4, 4, dtype=torch.float64)
    assert (folded(x) - norm(x)).abs().max() > 1e-3


def test_statistics_survive_a_large_mean_in_float32():
    """E[x^2] - E[x]^2 would lose every digit at a mean of 1000 standard deviations."""
    norm = shaken(SwitchNorm2d(4), 4, 16, 16)
    x = torch.randn(2, 4, 32, 32, dtype=torch.float64) + 1000
    expected = norm(x)
    got = FoldedSwitchNorm(copy.deepcopy(norm)).float()(x.float())
    assert (got.double() - expected).abs().max() < 1e-3


@pytest.mark.parametrize(
    "network",
    [
        UNet(3, 1, width=4),
        SLNet(3, 2, width=4),
        SLNet(3, 2, width=4, squeeze_excite=False),
        SLNet(3, 2, width=4, switch_norm=False),
    ],
    ids=["UNet", "SLNet", "SLNet without SE", "SLNet without SN"],
)
def test_whole_networks_fold_exactly_and_keep_no_normalisation(network: nn.Module):
    network = shaken(network, 3, 32, 32)
    folded = fold(network)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    with torch.inference_mode():
        expected = network(x)
        np.testing.assert_allclose(folded(x).numpy(), expected.numpy(), atol=1e-10 * float(expected.abs().max()))
    assert not any(isinstance(module, nn.BatchNorm2d | SwitchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d | SwitchNorm2d) for module in network.modules())


def test_batch_norm_behind_anything_else_stays():
    pair = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(), nn.BatchNorm2d(2))
    assert isinstance(fold(pair)[2], nn.BatchNorm2d)
    with pytest.raises(ValueError, match="without running statistics"):
        fold_batch_norm(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
