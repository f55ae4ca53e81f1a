import numpy as np
import pytest
import torch
from torch import Tensor

from ctpdeploy.train.losses import generalised_dice_loss, hardness_aware_loss, weighted_cross_entropy

SHAPE = (3, 2, 5, 4)


def reference_gd(probability: np.ndarray, lesion: np.ndarray) -> float:
    """Equation 14 over the mini-batch; the weight of an absent class is the largest of those present."""
    truth = np.stack([~lesion, lesion], axis=1).astype(float)
    counts = truth.sum(axis=(0, 2, 3))
    largest = max(1 / n**2 for n in counts if n)
    m = [1 / n**2 if n else largest for n in counts]
    above = sum(m[c] * (truth[:, c] * probability[:, c]).sum() for c in range(2))
    below = sum(m[c] * (truth[:, c] + probability[:, c]).sum() for c in range(2))
    return 1 - 2 * above / below


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture(params=["some", "none", "all"])
def lesion(request: pytest.FixtureRequest) -> Tensor:
    lesion = torch.zeros(SHAPE[0], *SHAPE[2:], dtype=torch.bool)
    if request.param == "some":
        lesion[0, 1:3, 2] = True
    return lesion if request.param != "all" else ~lesion


def test_weighted_cross_entropy_agrees_with_equation_12(logits: Tensor, lesion: Tensor) -> None:
    weight = torch.rand(lesion.shape, dtype=torch.float64) + 0.5
    p = logits.detach().softmax(dim=1).numpy()
    entropy = -np.where(lesion.numpy(), np.log(p[:, 1]), np.log(p[:, 0]))
    expected = (weight.numpy() * entropy).sum() / weight.numpy().sum()
    assert weighted_cross_entropy(logits, lesion, weight).item() == pytest.approx(expected, rel=1e-12)


def test_generalised_dice_agrees_with_equation_14(logits: Tensor, lesion: Tensor) -> None:
    probability = logits.detach().softmax(dim=1)
    expected = reference_gd(probability.numpy(), lesion.numpy())
    assert generalised_dice_loss(probability, lesion).item() == pytest.approx(expected, rel=1e-12)


def test_hardness_aware_agrees_with_equation_13(logits: Tensor, lesion: Tensor) -> None:
    probability = logits.detach().softmax(dim=1)
    expected = -np.log(1 - reference_gd(probability.numpy(), lesion.numpy()))
    assert hardness_aware_loss(probability, lesion).item() == pytest.approx(expected, rel=1e-12)


def test_gradients(logits: Tensor, lesion: Tensor) -> None:
    weight = torch.rand(lesion.shape, dtype=torch.float64) + 0.5
    gradcheck = torch.autograd.gradcheck
    assert gradcheck(lambda x: weighted_cross_entropy(x, lesion, weight), (logits,))
    assert gradcheck(lambda x: generalised_dice_loss(x.softmax(dim=1), lesion), (logits,))
    assert gradcheck(lambda x: hardness_aware_loss(x.softmax(dim=1), lesion), (logits,))


@pytest.mark.parametrize("certain", [-1e4, 0.0, 1e4])
def test_certainty_right_or_wrong_is_finite_in_float32(certain: float, lesion: Tensor) -> None:
    logits = torch.zeros(SHAPE)
    logits[:, 1] = certain
    logits.requires_grad_()
    loss = weighted_cross_entropy(logits, lesion, torch.ones(lesion.shape))
    loss = loss + hardness_aware_loss(logits.softmax(dim=1), lesion)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_lesion_free_batch_hardly_costs_a_confident_network() -> None:
    probability = torch.tensor([0.99, 0.01]).reshape(1, 2, 1, 1).expand(5, 2, 256, 256)
    loss = hardness_aware_loss(probability, torch.zeros(5, 256, 256, dtype=torch.bool))
    assert loss.item() == pytest.approx(-np.log(0.99), rel=1e-4)


def test_float32_agrees_with_float64_on_a_full_batch_with_a_tiny_lesion() -> None:
    logits = torch.randn(5, 2, 256, 256, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    lesion = torch.zeros(5, 256, 256, dtype=torch.bool)
    lesion[2, 100:103, 50] = True
    wide = hardness_aware_loss(logits.softmax(dim=1), lesion)
    narrow = hardness_aware_loss(logits.float().softmax(dim=1), lesion)
    assert narrow.item() == pytest.approx(wide.item(), rel=1e-5)
