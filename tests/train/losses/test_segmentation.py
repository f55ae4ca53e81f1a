import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from ctpdeploy.train.losses import SEGMENTATION_TERMS, dice_loss, generalised_dice_loss, hardness_aware_loss

SHAPE = (3, 2, 5, 4)
TERMS = [*((name, False) for name in SEGMENTATION_TERMS), ("gd", True), ("hgd", True)]
"""The losses by name and whether they count per image."""


def gd(p: np.ndarray, lesion: np.ndarray) -> float:
    """Equation 14; the weight of an absent class is the largest of those present."""
    truth = np.stack([~lesion, lesion], axis=1).astype(float)
    counts = truth.sum(axis=(0, 2, 3))
    largest = max(1 / n**2 for n in counts if n)
    m = [1 / n**2 if n else largest for n in counts]
    above = sum(m[c] * (truth[:, c] * p[:, c]).sum() for c in range(2))
    below = sum(m[c] * (truth[:, c] + p[:, c]).sum() for c in range(2))
    return 1 - 2 * above / below


def reference(name: str, p: np.ndarray, lesion: np.ndarray, weight: np.ndarray, per_image: bool) -> float:
    """Equations 12 to 14 and the two plain losses, from probabilities."""
    entropy = -np.log(np.where(lesion, p[:, 1], p[:, 0]))
    if name == "ce":
        return entropy.mean()
    if name == "wce":
        return (weight * entropy).sum() / weight.sum()
    if name == "dice":
        return 1 - 2 * (p[:, 1] * lesion).sum() / ((p[:, 1] ** 2).sum() + (lesion**2.0).sum())
    parts = [(p[i : i + 1], lesion[i : i + 1]) for i in range(len(p))] if per_image else [(p, lesion)]
    losses = [gd(*part) for part in parts]
    return float(np.mean(losses if name == "gd" else [-np.log(1 - loss) for loss in losses]))


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def weight() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(SHAPE[0], *SHAPE[2:], dtype=torch.float64, generator=generator) + 0.5


@pytest.fixture(params=["some", "none", "all"])
def lesion(request: pytest.FixtureRequest) -> Tensor:
    lesion = torch.zeros(SHAPE[0], *SHAPE[2:], dtype=torch.bool)
    if request.param == "some":
        lesion[0, 1:3, 2] = True
        lesion[2, 0, :] = True
    return lesion if request.param != "all" else ~lesion


@pytest.mark.parametrize(("name", "per_image"), TERMS)
def test_agrees_with_its_equation(name: str, per_image: bool, logits: Tensor, lesion: Tensor, weight: Tensor) -> None:
    p = np.exp(logits.detach().numpy())
    p /= p.sum(axis=1, keepdims=True)
    expected = reference(name, p, lesion.numpy(), weight.numpy(), per_image)
    loss = SEGMENTATION_TERMS[name](logits, lesion, weight, per_image)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("name", "per_image"), TERMS)
def test_gradients(name: str, per_image: bool, logits: Tensor, lesion: Tensor, weight: Tensor) -> None:
    assert torch.autograd.gradcheck(lambda x: SEGMENTATION_TERMS[name](x, lesion, weight, per_image), (logits,))


@pytest.mark.parametrize("certain", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize(("name", "per_image"), TERMS)
def test_certainty_right_or_wrong_is_finite_in_float32(
    name: str, per_image: bool, certain: float, lesion: Tensor
) -> None:
    logits = torch.zeros(SHAPE)
    logits[:, 1] = certain
    logits.requires_grad_()
    loss = SEGMENTATION_TERMS[name](logits, lesion, torch.ones(lesion.shape), per_image)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize(("name", "per_image"), TERMS)
@pytest.mark.parametrize("size", [0, 3, 5000])
def test_float32_agrees_with_float64_on_a_full_batch(name: str, per_image: bool, size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 2, 256, 256, dtype=torch.float64, generator=generator)
    weight = torch.rand(5, 256, 256, dtype=torch.float64, generator=generator) + 0.5
    lesion = torch.zeros(5, 256, 256, dtype=torch.bool)
    lesion[2].view(-1)[20_000 : 20_000 + size] = True
    wide = SEGMENTATION_TERMS[name](logits, lesion, weight, per_image)
    narrow = SEGMENTATION_TERMS[name](logits.float(), lesion, weight.float(), per_image)
    assert narrow.dtype is torch.float32
    assert narrow.item() == pytest.approx(wide.item(), rel=1e-5)


def uniform(p: float, shape: tuple[int, ...] = (5, 256, 256)) -> Tensor:
    """The same probability of lesion everywhere."""
    return torch.tensor([1 - p, p], dtype=torch.float64)[:, None, None].expand(shape[0], 2, *shape[1:])


@pytest.mark.parametrize("per_image", [False, True])
def test_lesion_free_batch_hardly_costs_a_confident_network(per_image: bool) -> None:
    lesion = torch.zeros(5, 256, 256, dtype=torch.bool)
    loss = hardness_aware_loss(uniform(0.01), lesion, per_image=per_image)
    assert loss.item() == pytest.approx(-np.log(0.99), rel=1e-9)


def test_hardness_aware_loss_of_an_untrained_network_is_66_times_as_steep() -> None:
    """dL_HGD / dL_GD is 1 / (1 - L_GD): 66 where the probability is 1/2 and L_GD is 0.985."""
    lesion = torch.zeros(5, 256, 256, dtype=torch.bool)
    lesion.view(-1)[:2490] = True  # 0.76 % of the pixels
    probability = uniform(0.5).clone().requires_grad_()
    plain = generalised_dice_loss(probability, lesion)
    assert plain.item() == pytest.approx(0.985, abs=5e-4)
    (slope,) = torch.autograd.grad(plain, probability)
    (steep,) = torch.autograd.grad(hardness_aware_loss(probability, lesion), probability)
    torch.testing.assert_close(steep / slope, torch.full_like(slope, 1 / (1 - plain.item())))
    assert (steep / slope).mean().item() == pytest.approx(66, abs=1)


def test_a_lesion_the_network_misses_wholly_costs_a_bounded_amount() -> None:
    lesion = torch.ones(1, 2, 2, dtype=torch.bool)
    assert hardness_aware_loss(uniform(0.0, (1, 2, 2)), lesion).item() == pytest.approx(6 * np.log(10))


def test_dice_loss_of_a_lesion_free_batch_is_one() -> None:
    lesion = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert dice_loss(uniform(0.3, (1, 4, 4)), lesion).item() == 1
    assert dice_loss(uniform(0.0, (1, 4, 4)), lesion).item() == 1


BATCHES = st.tuples(
    arrays(np.float64, SHAPE, elements=st.floats(-8, 8)),
    arrays(np.bool_, (SHAPE[0], *SHAPE[2:])),
    arrays(np.float64, (SHAPE[0], *SHAPE[2:]), elements=st.floats(0.5, 1.5)),
)


@given(batch=BATCHES, order=st.permutations(range(SHAPE[0])), shift=st.floats(-5, 5))
def test_no_loss_knows_the_order_of_slices_or_a_constant_beside_the_logits(
    batch: tuple[np.ndarray, ...], order: list[int], shift: float
) -> None:
    logits, lesion, weight = map(torch.from_numpy, batch)
    for name, per_image in TERMS:
        one = SEGMENTATION_TERMS[name](logits, lesion, weight, per_image)
        other = SEGMENTATION_TERMS[name](logits[order] + shift, lesion[order], weight[order], per_image)
        assert other.item() == pytest.approx(one.item(), rel=1e-9, abs=1e-12)


@given(batch=BATCHES, factor=st.floats(0.01, 100))
def test_the_losses_keep_their_bounds(batch: tuple[np.ndarray, ...], factor: float) -> None:
    logits, lesion, weight = map(torch.from_numpy, batch)
    value = {key: SEGMENTATION_TERMS[key[0]](logits, lesion, weight, key[1]).item() for key in TERMS}
    for per_image in (False, True):
        assert -1e-12 <= value["gd", per_image] <= 1
        assert value["hgd", per_image] >= value["gd", per_image] - 1e-12
    assert -1e-12 <= value["dice", False] <= 1
    assert value["wce", False] <= 3 * value["ce", False]  # the weights lie within a factor of 3
    scaled = SEGMENTATION_TERMS["wce"](logits, lesion, factor * weight, False)
    assert scaled.item() == pytest.approx(value["wce", False], rel=1e-9)
