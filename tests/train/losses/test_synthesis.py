import numpy as np
import pytest
import torch
from torch import Tensor

from ctpdeploy.train import LossConfig
from ctpdeploy.train.losses import context_loss, objective, pixel_loss, segmentation_loss
from ctpdeploy.train.networks import ChainOutputs, ContextEncoder

DOUBLE = torch.float64
LossBatch = tuple[ChainOutputs, Tensor, Tensor, Tensor]


def test_pixel_loss_agrees_with_equation_7() -> None:
    image, target = torch.rand(2, 3, 1, 5, 4, dtype=DOUBLE)
    weight = torch.rand(3, 5, 4, dtype=DOUBLE)
    expected = np.mean((weight.numpy() * (image - target).numpy()[:, 0]) ** 2)
    assert pixel_loss(image, target, weight).item() == pytest.approx(expected, rel=1e-12)
    image.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: pixel_loss(x, target, weight), (image,))


def test_context_loss_agrees_with_equation_8() -> None:
    code, target = torch.randn(2, 3, 16, dtype=DOUBLE)
    expected = np.abs((code - target).numpy()).mean()
    assert context_loss(code, target).item() == pytest.approx(expected, rel=1e-12)
    code.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: context_loss(x, target), (code,))


@pytest.fixture
def batch() -> LossBatch:
    torch.manual_seed(0)
    outputs = ChainOutputs(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32), torch.randn(2, 2, 32, 32))
    for output in outputs:
        output.requires_grad_()
    lesion = torch.rand(2, 32, 32) > 0.9
    return outputs, torch.rand(2, 1, 32, 32), lesion, torch.rand(2, 32, 32)


def test_objective_agrees_with_equation_15(batch: LossBatch) -> None:
    outputs, dwi, lesion, weight = batch
    encoder = ContextEncoder()

    def synthesis(image: Tensor) -> Tensor:  # equation 6
        return pixel_loss(image, dwi, weight) + 1.2 * context_loss(encoder(image), encoder(dwi))

    expected = sum(segmentation_loss(outputs.logits, lesion, weight))
    expected = expected + 0.5 * synthesis(outputs.pseudo_dwi) + 2.0 * synthesis(outputs.extractor)
    terms = objective(outputs, dwi, lesion, weight, encoder, LossConfig(alpha=0.5, beta=2.0))
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-6)


def test_only_the_context_losses_teach_the_context_encoder(batch: LossBatch) -> None:
    encoder = ContextEncoder()
    objective(*batch, encoder, LossConfig(gamma=0.0)).total.backward()
    assert all((p.grad == 0).all() for p in encoder.parameters())


def test_a_constant_context_encoder_shows_in_its_spread(batch: LossBatch) -> None:
    encoder = ContextEncoder()
    assert objective(*batch, encoder, LossConfig()).context_spread > 0
    torch.nn.init.zeros_(encoder[-3].weight)
    assert objective(*batch, encoder, LossConfig()).context_spread == 0
