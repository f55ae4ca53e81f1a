import numpy as np
import pytest
import torch
from torch import Tensor

from ctpdeploy.train.losses import discriminator_loss, generator_loss


@pytest.fixture
def judgements() -> list[Tensor]:
    """Of three scales, the coarser the fewer."""
    generator = torch.Generator().manual_seed(0)
    sizes = (7, 4, 3)
    return [torch.randn(2, 1, n, n, dtype=torch.float64, generator=generator).requires_grad_() for n in sizes]


def squares(judgements: list[Tensor], wanted: float) -> float:
    return sum(np.mean((j.detach().numpy() - wanted) ** 2) for j in judgements)


def test_generator_wants_its_images_to_be_judged_real(judgements: list[Tensor]) -> None:
    assert generator_loss(judgements).item() == pytest.approx(squares(judgements, 1.0), rel=1e-12)
    assert torch.autograd.gradcheck(lambda *j: generator_loss(j), judgements)


def test_discriminator_tells_real_from_made(judgements: list[Tensor]) -> None:
    fake = [judgement.detach().flip(0) * 0.5 + 0.1 for judgement in judgements]
    expected = squares(judgements, 1.0) + squares(fake, 0.0)
    assert discriminator_loss(judgements, fake).item() == pytest.approx(expected, rel=1e-12)
    assert torch.autograd.gradcheck(lambda *j: discriminator_loss(j[:3], j[3:]), [*judgements, *judgements[::-1]])


def test_every_scale_counts_alike_however_few_its_judgements() -> None:
    fine, coarse = torch.zeros(1, 1, 9, 9), torch.zeros(1, 1, 3, 3)
    assert generator_loss([fine, coarse]).item() == 2
    assert generator_loss([fine + 1, coarse]).item() == generator_loss([fine, coarse + 1]).item() == 1


def test_a_discriminator_that_is_right_loses_nothing() -> None:
    zeros = [torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2, 2)]
    ones = [zero + 1 for zero in zeros]
    assert discriminator_loss(ones, zeros).item() == 0
    assert discriminator_loss(zeros, ones).item() == 4
