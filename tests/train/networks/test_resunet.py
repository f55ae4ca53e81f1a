import torch
from torch import Tensor, nn

from ctpdeploy.train.networks.resunet import ResUNet


def image() -> Tensor:
    return torch.rand(2, 3, 64, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def network() -> ResUNet:
    torch.manual_seed(0)
    return ResUNet(3, 2, 4).double().eval()


def test_encoder_is_that_of_resnet_50() -> None:
    """25,557,032 parameters less the 2,049,000 of its 1000 classes."""
    with torch.device("meta"):
        resunet = ResUNet(3, 2)
    parts = nn.ModuleList([resunet.stem, resunet.encoder])
    assert sum(parameter.numel() for parameter in parts.parameters()) == 23_508_032


def test_agrees_with_a_restatement_of_the_wiring() -> None:
    resunet = network()
    x = resunet.stem(image())
    skips = [x]
    x = nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
    for number, stage in enumerate(resunet.encoder):
        for block in stage:
            x = nn.functional.relu(block.residual(x) + block.shortcut(x))
        if number < 3:
            skips.append(x)
    x = resunet.centre(x)
    for number, stage in enumerate(resunet.decoder):
        x = stage.up(x)
        x = stage.refine(x if number == 4 else torch.cat([skips[3 - number], x], dim=1))
    torch.testing.assert_close(resunet(image()), resunet.head(x), rtol=1e-12, atol=1e-12)


def test_skips_lie_at_a_half_to_a_sixteenth_and_the_centre_at_a_thirty_second() -> None:
    resunet = network()
    seen = []
    for module in (resunet.stem, *resunet.encoder):
        module.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[1:])))
    resunet(image())
    assert seen == [(4, 32, 48), (16, 16, 24), (32, 8, 12), (64, 4, 6), (128, 2, 3)]
