import torch
from torch import Tensor
from torch.nn import functional as f

from ctpdeploy.train.networks.discriminator import Discriminator


def image(size: int = 64) -> Tensor:
    return torch.rand(2, 5, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def network(scales: int = 3) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(5, 4, scales).double()


def scale(parameters: list[Tensor], x: Tensor) -> Tensor:
    """One scale, from its parameters in order: convolutions, instance normalisation, leaky ReLUs."""
    for number, stride in enumerate((2, 2, 2, 1, 1)):
        x = f.conv2d(x, parameters[2 * number], parameters[2 * number + 1], stride=stride, padding=2)
        if number in (1, 2, 3):
            mean = x.mean(dim=(2, 3), keepdim=True)
            x = (x - mean) / ((x - mean).square().mean(dim=(2, 3), keepdim=True) + 1e-5).sqrt()
        if number < 4:
            x = torch.where(x > 0, x, 0.2 * x)
    return x


def halved(x: Tensor) -> Tensor:
    """Means of 3x3 pixels around every other one, of as many as lie within the image."""
    kernel = torch.ones(x.shape[1], 1, 3, 3, dtype=x.dtype)
    sums, counts = (f.conv2d(y, kernel, stride=2, padding=1, groups=len(kernel)) for y in (x, torch.ones_like(x)))
    return sums / counts


def test_agrees_with_a_restatement_of_two_scales() -> None:
    discriminator = network(scales=2)
    parameters = list(discriminator.parameters())
    fine, coarse = discriminator(image())
    torch.testing.assert_close(fine, scale(parameters[:10], image()), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(coarse, scale(parameters[10:], halved(image())), rtol=1e-9, atol=1e-9)


def test_judges_patches_at_three_scales() -> None:
    shapes = [tuple(judgement.shape) for judgement in network()(image(256))]
    assert shapes == [(2, 1, 35, 35), (2, 1, 19, 19), (2, 1, 11, 11)]


def test_judgements_are_not_bounded() -> None:
    judgements = network()(image())
    assert min(judgement.min() for judgement in judgements) < 0
