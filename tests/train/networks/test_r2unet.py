import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.r2unet import R2UNet, RecurrentBlock

WIDTH = 4


def made(steps: int) -> R2UNet:
    """With the same weights for any number of steps."""
    torch.manual_seed(0)
    return R2UNet(3, 2, WIDTH, steps=steps).double().eval()


def image() -> Tensor:
    return torch.rand(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def block_of(block: RecurrentBlock, x: Tensor, steps: int) -> Tensor:
    """x0 + RCL(RCL(x0)), from the block's own convolution and units."""
    x0 = y = block.project(x)
    for recurrent in block.residual:
        entering, y = y, recurrent.unit(y)
        for _ in range(steps):
            y = recurrent.unit(entering + y)
    return x0 + y


def reference(network: R2UNet, x: Tensor, steps: int) -> Tensor:
    """The whole wiring."""
    levels = [x]
    for number, block in enumerate(network.encoder):
        below = levels[-1] if number == 0 else nn.functional.max_pool2d(levels[-1], 2)
        levels.append(block_of(block, below, steps))
    x = levels[5]
    for number, block in enumerate(network.decoder):
        doubled = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        x = block_of(block, torch.cat([levels[4 - number], network.up[number][1:](doubled)], dim=1), steps)
    return network.head(x)


def test_agrees_with_a_restatement_of_the_wiring() -> None:
    for steps in (0, 1, 2):
        network = made(steps)
        torch.testing.assert_close(network(image()), reference(network, image(), steps), rtol=1e-12, atol=1e-12)


def test_steps_change_what_it_says_and_not_what_it_has() -> None:
    none, two = made(0), made(2)
    for (key, one), (name, other) in zip(none.named_parameters(), two.named_parameters(), strict=True):
        assert key == name
        assert torch.equal(one, other)
    assert (none(image()) - two(image())).abs().max() > 1e-3


def test_every_application_of_a_unit_moves_its_running_averages() -> None:
    network = made(2).train()
    network(image())
    recurrent = network.encoder[0].residual[0].unit[1]
    assert recurrent.num_batches_tracked == 3
    assert network.up[0][2].num_batches_tracked == 1
