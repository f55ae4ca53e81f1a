import pytest
import torch
from support.training import draw_batch

from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.train import LossConfig, TrainConfig
from ctpdeploy.train.dataset import Batch
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.objective import Objective

LOSS = LossConfig(alpha=0.7, beta=0.3, gamma=1.2)
LS = {"wce": 1, "hgd": 1}
"""Equation 11; below it alpha L_g and beta L_e with equation 6 put in."""
LG = {"pixel": 0.7, "context": 0.7 * 1.2}
LE = {"extractor_pixel": 0.3, "extractor_context": 0.3 * 1.2}


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch(2)


def objective(system: str, **settings: object) -> Objective:
    learner = Learner(TrainConfig(system=system, width=4, loss=LOSS, **settings), torch.device("cpu"))  # type: ignore[arg-type]
    return learner._objective


@pytest.mark.parametrize(
    ("system", "weights"),
    [
        ("dwi_olh", LS | LG | LE),
        ("dwi_o", LS | LG),
        ("maps_dwi_olh", LS | LG | LE),
        ("wce_hgd", LS),
        ("ce_hgd", {"ce": 1, "hgd": 1}),
        ("real_dwi", LS),
        ("l1", {"pixel": 0.7}),
        ("gan", {"adversarial": 1, "discriminator": 1}),
        ("l2_gan", {"pixel": 70, "adversarial": 1, "discriminator": 1}),
        ("unet_dwi_olh_star", LG),
        ("dwi_olh_s", LE),
    ],
)
def test_total_is_the_weighted_sum_of_the_terms_that_the_system_names(
    batch: Batch, system: str, weights: dict[str, float]
) -> None:
    terms = objective(system)(batch)
    assert {name for name in terms if not name.endswith("spread")} == {"total", *weights}
    expected = sum(weight * terms[name].item() for name, weight in weights.items())
    assert terms["total"].item() == pytest.approx(expected, rel=1e-5)


def test_segmentation_loss_reaches_every_network_and_never_the_context_encoder(batch: Batch) -> None:
    whole = objective("dwi_olh")
    terms = whole(batch)
    (terms["wce"] + terms["hgd"]).backward()
    for role in ("extractor", "generator", "segmenter"):
        assert any(p.grad is not None and p.grad.abs().max() > 0 for p in whole.chain.get_submodule(role).parameters())
    assert whole.context_encoder is not None
    assert all(p.grad is None for p in whole.context_encoder.parameters())


def test_generator_and_discriminator_pull_in_opposite_directions(batch: Batch) -> None:
    """The adversarial term moves the generator alone, the discriminator's term the discriminator alone."""
    whole = objective("gan")
    assert whole.discriminator is not None
    terms = whole(batch)
    terms["adversarial"].backward(retain_graph=True)
    assert all(p.grad is None for p in whole.discriminator.parameters())
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in whole.chain.generator.parameters())
    whole.zero_grad()
    terms["discriminator"].backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in whole.chain.generator.parameters())
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in whole.discriminator.parameters())


def test_losses_are_float32_under_autocast(batch: Batch) -> None:
    terms = objective("dwi_olh", compute=replace_precision("bf16"))(batch)
    assert {term.dtype for term in terms.values()} == {torch.float32}
    exact = objective("dwi_olh")(batch)
    assert terms["total"].item() == pytest.approx(exact["total"].item(), rel=0.05)
    assert terms["total"].item() != exact["total"].item()


def replace_precision(precision: str) -> object:
    from ctpdeploy.train import ComputeConfig

    return ComputeConfig(precision=precision)  # type: ignore[arg-type]


def test_every_system_has_an_objective_for_each_of_its_stages(batch: Batch) -> None:
    for name, system in SYSTEMS.items():
        whole = objective(name)
        for learns in system.stages:
            whole.learns = learns
            terms = whole(batch)
            assert torch.isfinite(terms["total"])
            assert terms["total"].requires_grad
