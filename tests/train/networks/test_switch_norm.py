import numpy as np
import pytest
import torch
from torch import Tensor

from ctpdeploy.train.networks import SwitchNorm2d

SHAPE = (3, 4, 6, 5)


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def reference(x: np.ndarray, norm: SwitchNorm2d, batch: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """Switchable Normalization of section 2 of its paper, from E[x^2] - E[x]^2 over the pixels themselves."""
    weight, bias, w, u = (
        p.detach().double().numpy() for p in (norm.weight, norm.bias, norm.mean_weight, norm.var_weight)
    )
    axes = ((2, 3), (1, 2, 3), (0, 2, 3))
    means = [x.mean(axis, keepdims=True) for axis in axes]
    variances = [(x**2).mean(axis, keepdims=True) - m**2 for axis, m in zip(axes, means, strict=True)]
    if batch is not None:
        means[2], variances[2] = (b.reshape(1, -1, 1, 1) for b in batch)
    mean = sum(a * m for a, m in zip(softmax(w), means, strict=True))
    variance = sum(a * v for a, v in zip(softmax(u), variances, strict=True))
    column = (1, -1, 1, 1)
    return weight.reshape(column) * (x - mean) / np.sqrt(variance + norm.eps) + bias.reshape(column)


@pytest.fixture
def norm() -> SwitchNorm2d:
    torch.manual_seed(0)
    norm = SwitchNorm2d(SHAPE[1], momentum=0.9).double()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return norm


def test_training_agrees_with_the_reference(norm: SwitchNorm2d) -> None:
    x = torch.randn(SHAPE, dtype=torch.float64) * 3 + 1
    np.testing.assert_allclose(norm(x).detach(), reference(x.numpy(), norm), rtol=1e-12, atol=1e-12)


def test_evaluation_agrees_with_the_reference_on_debiased_averages(norm: SwitchNorm2d) -> None:
    batches = torch.randn(3, *SHAPE, dtype=torch.float64) * 2 + 1
    for batch in batches:
        norm(batch)
    weights = np.array([0.9**2, 0.9, 1.0]) * 0.1 / (1 - 0.9**3)
    mean = weights @ batches.mean(dim=(1, 3, 4)).numpy()
    variance = weights @ batches.var(dim=(1, 3, 4), correction=0).numpy()
    x = torch.randn(SHAPE, dtype=torch.float64)
    expected = reference(x.numpy(), norm, batch=(mean, variance))
    np.testing.assert_allclose(norm.eval()(x).detach(), expected, rtol=1e-12, atol=1e-12)


def test_without_debiasing_evaluation_takes_the_averages_as_they_are(norm: SwitchNorm2d) -> None:
    norm.debias = False
    batches = torch.randn(2, *SHAPE, dtype=torch.float64) * 2 + 1
    for batch in batches:
        norm(batch)
    weights = np.array([0.9, 1.0]) * 0.1  # and 0.81 of the zero at the start
    mean = weights @ batches.mean(dim=(1, 3, 4)).numpy()
    variance = weights @ batches.var(dim=(1, 3, 4), correction=0).numpy()
    x = torch.randn(SHAPE, dtype=torch.float64)
    expected = reference(x.numpy(), norm, batch=(mean, variance))
    np.testing.assert_allclose(norm.eval()(x).detach(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.9, 0.997])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_running_statistics_of_constant_batches_are_those_of_the_batch(momentum: float, steps: int) -> None:
    norm = SwitchNorm2d(4, momentum=momentum)
    x = torch.randn(SHAPE) + 5
    for _ in range(steps):
        norm(x)
    mean, variance = norm.running_statistics()
    torch.testing.assert_close(mean, x.mean(dim=(0, 2, 3)), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(variance, x.var(dim=(0, 2, 3), correction=0), rtol=1e-5, atol=1e-6)


def test_untrained_statistics_are_neutral() -> None:
    mean, variance = SwitchNorm2d(2).running_statistics()
    assert mean.tolist() == [0, 0]
    assert variance.tolist() == [1, 1]


def test_evaluation_does_not_depend_on_the_batch(norm: SwitchNorm2d) -> None:
    norm(torch.randn(SHAPE, dtype=torch.float64))
    norm.eval()
    x = torch.randn(SHAPE, dtype=torch.float64)
    alone = torch.cat([norm(x[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(norm(x), alone, rtol=0, atol=1e-14)


def test_unbiased_takes_the_sample_variance_of_a_slice() -> None:
    x = torch.randn(SHAPE, dtype=torch.float64)
    biased, unbiased = (SwitchNorm2d(4, unbiased=flag).double() for flag in (False, True))
    with torch.no_grad():
        for norm in (biased, unbiased):
            norm.var_weight.copy_(torch.tensor([100.0, 0, 0]))  # instance variance alone
            norm.mean_weight.copy_(torch.tensor([100.0, 0, 0]))
    pixels = SHAPE[2] * SHAPE[3]
    ratio = (unbiased(x) / biased(x)).detach()
    torch.testing.assert_close(ratio, torch.full_like(ratio, ((pixels - 1) / pixels) ** 0.5), rtol=1e-4, atol=0)


def test_gradients(norm: SwitchNorm2d) -> None:
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in norm.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return torch.func.functional_call(norm, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, (x, *norm.parameters()))


def test_half_precision_input_keeps_its_dtype_and_float32_statistics() -> None:
    norm = SwitchNorm2d(1)
    x = (torch.randn(1, 1, 256, 256) + 200).half()  # its float16 sum would overflow
    y = norm(x).detach()
    assert y.dtype is torch.float16
    assert y.float().mean().abs() < 1e-2
    assert y.float().std().item() == pytest.approx(1, abs=1e-2)
