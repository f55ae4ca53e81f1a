import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from ctpdeploy.train.losses import context_loss, pixel_loss

DOUBLE = torch.float64
VARIANTS = list(itertools.product(["l1", "l2", "wl2"], ["mean", "norm_per_image", "sum"]))


def reference(image: np.ndarray, target: np.ndarray, weight: np.ndarray, kind: str, norm: str) -> float:
    """Equation 7 and its variants."""
    d = (image - target)[:, 0] * (weight if kind == "wl2" else 1)
    powers = np.abs(d) if kind == "l1" else d**2
    if norm == "norm_per_image":
        norms = powers.sum(axis=(1, 2))
        return np.mean(norms if kind == "l1" else np.sqrt(norms))
    return powers.mean() if norm == "mean" else powers.sum()


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image, target = torch.rand(2, 3, 1, 5, 4, dtype=DOUBLE, generator=generator)
    return image.requires_grad_(), target, torch.rand(3, 5, 4, dtype=DOUBLE, generator=generator) + 0.5


@pytest.mark.parametrize(("kind", "norm"), VARIANTS)
def test_pixel_loss_agrees_with_equation_7(kind: str, norm: str, batch: tuple[Tensor, ...]) -> None:
    image, target, weight = batch
    expected = reference(image.detach().numpy(), target.numpy(), weight.numpy(), kind, norm)
    loss = pixel_loss(image, target, weight, kind=kind, norm=norm)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda x: pixel_loss(x, target, weight, kind=kind, norm=norm), (image,))


def test_the_weighted_mean_square_is_the_rule(batch: tuple[Tensor, ...]) -> None:
    assert torch.equal(pixel_loss(*batch), pixel_loss(*batch, kind="wl2", norm="mean"))


@pytest.mark.parametrize(("kind", "norm"), VARIANTS)
def test_a_perfect_image_costs_nothing_and_has_a_finite_gradient(
    kind: str, norm: str, batch: tuple[Tensor, ...]
) -> None:
    image, _, weight = batch
    loss = pixel_loss(image, image.detach(), weight, kind=kind, norm=norm)
    loss.backward()
    assert loss.item() == 0
    assert (image.grad == 0).all()


def test_a_mean_square_of_19_decibels_is_a_norm_of_27() -> None:
    """The two readings of equation 7 at the 19.4 dB of table 1, on a slice of 256 x 256."""
    target = torch.zeros(1, 1, 256, 256, dtype=DOUBLE)
    image, weight = target + 10 ** (-19.4 / 20), torch.ones(1, 256, 256, dtype=DOUBLE)
    assert pixel_loss(image, target, weight, norm="mean").item() == pytest.approx(0.0115, abs=5e-5)
    assert pixel_loss(image, target, weight, norm="norm_per_image").item() == pytest.approx(27.4, abs=0.05)


@pytest.mark.parametrize("order", [1, 2])
def test_context_loss_agrees_with_equation_8(order: int) -> None:
    code, target = torch.randn(2, 3, 16, dtype=DOUBLE, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = (np.abs((code - target).detach().numpy()) ** order).mean()
    assert context_loss(code, target, order=order).item() == pytest.approx(expected, rel=1e-12)
    inputs = code.detach().requires_grad_(), target.detach().requires_grad_()  # both arguments come from Phi_c
    assert torch.autograd.gradcheck(lambda x, y: context_loss(x, y, order=order), inputs)


def test_the_context_loss_is_of_absolute_differences_by_rule() -> None:
    code, target = torch.randn(2, 3, 16, dtype=DOUBLE)
    assert torch.equal(context_loss(code, target), context_loss(code, target, order=1))


IMAGES = arrays(np.float64, (3, 1, 4, 2), elements=st.floats(-2, 2))


@given(image=IMAGES, target=IMAGES, order=st.permutations(range(3)), factor=st.floats(0.1, 10))
def test_pixel_losses_scale_and_do_not_know_the_order_of_slices(
    image: np.ndarray, target: np.ndarray, order: list[int], factor: float
) -> None:
    one, other = torch.from_numpy(image), torch.from_numpy(target)
    weight = torch.linspace(0.5, 1.5, 24, dtype=DOUBLE).reshape(3, 4, 2)
    for kind, norm in VARIANTS:
        plain = pixel_loss(one, other, weight, kind=kind, norm=norm).item()
        scaled = pixel_loss(factor * one[order], factor * other[order], weight[order], kind=kind, norm=norm).item()
        degree = 1 if kind == "l1" or norm == "norm_per_image" else 2
        assert scaled == pytest.approx(factor**degree * plain, rel=1e-9, abs=1e-12)
        assert pixel_loss(other, one, weight, kind=kind, norm=norm).item() == pytest.approx(plain, rel=1e-12)
