"""How the arithmetic is done changes rounding and nothing else."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.nifti_cases import only_case
from support.training import StopError, draw_batch, same, stop_in, tensors

from ctpdeploy.errors import GuardError
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.train import ComputeConfig, OptimiserConfig, TrainConfig, train
from ctpdeploy.train.dataset import Batch, SliceDataset, read_labelled
from ctpdeploy.train.learner import Learner
from ctpdeploy.train.pace import Pace
from ctpdeploy.train.validation import validate

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batch() -> Batch:
    return draw_batch(4)


def first_step(config: TrainConfig, batch: Batch, **compute: object) -> dict[str, float]:
    learner = Learner(replace(config, compute=ComputeConfig(**compute)), CPU)  # type: ignore[arg-type]
    learner.begin_epoch()
    return learner.step(batch, Pace(learning_rate=0.001))


@pytest.mark.parametrize(
    ("compute", "tolerance"),
    [({"channels_last": True}, 1e-4), ({"precision": "bf16"}, 0.03), ({"precision": "fp16"}, 0.03)],
)
def test_the_first_step_is_that_of_float32(
    batch: Batch, config: TrainConfig, compute: dict[str, object], tolerance: float
) -> None:
    exact, got = first_step(config, batch), first_step(config, batch, **compute)
    assert got["total"] == pytest.approx(exact["total"], rel=tolerance)
    if "precision" in compute:
        assert got["total"] != exact["total"], "the networks did run in half precision"
    if compute.get("precision") != "fp16":  # whose scaler begins too high
        assert got["gradient_norm"] == pytest.approx(exact["gradient_norm"], rel=20 * tolerance)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # PyTorch's own, when it loads its compiler
def test_compiled_networks_keep_the_names_of_their_weights(config: TrainConfig) -> None:
    """Compiling takes minutes on a CPU: here only that checkpoints do not change by it."""
    plain, compiled = (Learner(replace(config, compute=ComputeConfig(compile=c)), CPU) for c in (False, True))
    assert plain.chain.state_dict().keys() == compiled.chain.state_dict().keys()


@pytest.mark.parametrize("compute", [{"precision": "bf16", "channels_last": True}, {"precision": "fp16"}])
def test_half_precision_runs_resume_to_the_bit(
    data: Path, tmp_path: Path, config: TrainConfig, compute: dict[str, object]
) -> None:
    settings = replace(config, epochs=2, compute=ComputeConfig(**compute))  # type: ignore[arg-type]
    train(data, tmp_path / "straight", settings)
    with pytest.raises(StopError):
        train(data, tmp_path / "resumed", settings, on_progress=stop_in(2, "training"))
    train(data, tmp_path / "resumed", settings, resume=True)
    assert same(*(tensors(tmp_path / run / "checkpoints/last") for run in ("straight", "resumed")))
    if compute["precision"] == "fp16":
        scales = [(tmp_path / run / "checkpoints/last/scaler.json").read_text() for run in ("straight", "resumed")]
        assert scales[0] == scales[1]
        assert json.loads(scales[0])["scale"] > 0


def test_a_gradient_that_is_not_finite_is_named(batch: Batch, config: TrainConfig) -> None:
    learner = Learner(config, CPU)
    learner.begin_epoch()
    weight = learner.chain.get_submodule("generator").head.weight
    weight.register_hook(lambda gradient: gradient * torch.nan)  # type: ignore[no-untyped-call]
    before = learner.chain.get_submodule("segmenter").head.weight.clone()
    with pytest.raises(GuardError, match="gradient of generator is not finite"):
        learner.step(batch, Pace(learning_rate=0.001))
    assert torch.equal(before, learner.chain.get_submodule("segmenter").head.weight), "nothing was updated"


def test_a_gradient_that_overflows_in_float16_leaves_the_step_out(batch: Batch, config: TrainConfig) -> None:
    learner = Learner(replace(config, compute=ComputeConfig(precision="fp16")), CPU)
    learner.begin_epoch()
    weight = learner.chain.get_submodule("generator").head.weight
    handle = weight.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    before = weight.detach().clone()
    learner.step(batch, Pace(learning_rate=0.001))
    assert torch.equal(before, weight)
    handle.remove()
    for _ in range(20):  # until the scale is low enough
        learner.step(batch, Pace(learning_rate=0.001))
    assert not torch.equal(before, weight)


def test_a_rate_out_of_reason_stops_with_epoch_and_step(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    wild = replace(config, optimiser=OptimiserConfig(learning_rate=1e30))
    with pytest.raises(GuardError, match=r"epoch 1, step \d: The (loss|gradient)"):
        train(data, tmp_path / "run", wild)


CPU = torch.device("cpu")


def test_frozen_context_encoder_stays_as_initialised(data: Path, config: TrainConfig) -> None:
    dataset = SliceDataset([read_labelled(only_case(data / "case_1"), config)])
    for phi_c, stays in (("frozen", True), ("joint", False)):
        learner = Learner(replace(config, phi_c=phi_c), CPU)
        before = [p.clone() for p in learner.networks["context_encoder"].parameters()]
        for batch in dataset.batches(2, seed=0, epoch=1):
            learner.step(batch, Pace(learning_rate=0.001))
        after = learner.networks["context_encoder"].parameters()
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)) is stays


def test_without_a_context_encoder_there_is_no_context_loss(batch: Batch, config: TrainConfig) -> None:
    learner = Learner(replace(config, phi_c="none"), CPU)
    assert "context_encoder" not in learner.networks
    assert not [term for term in learner.step(batch, Pace(learning_rate=0.001)) if "context" in term]


def test_the_segmenter_starts_from_the_prior(batch: Batch, config: TrainConfig) -> None:
    for prior in (0.5, 0.02):
        chain = Learner(replace(config, lesion_prior=prior), CPU).chain.eval()
        with torch.no_grad():
            logits = chain(batch.frames, batch.features)["logits"]
        plain = logits.softmax(dim=1)[:, 1].median() / (1 - logits.softmax(dim=1)[:, 1].median())
        if prior == 0.5:
            odds = plain
    assert plain / odds == pytest.approx(0.02 / 0.98, rel=0.01)


def test_tiny_chain_learns_two_slices_by_heart(data: Path, config: TrainConfig) -> None:
    case = read_labelled(only_case(data / "case_1"), config)
    dataset = SliceDataset([case])
    learner = Learner(config, CPU)
    for epoch in range(40):
        learner.begin_epoch()
        for batch in dataset.batches(2, seed=0, epoch=epoch):
            learner.step(batch, Pace(learning_rate=0.002))
    dice = validate(learner.chain, [case], SYSTEMS["dwi_olh"], ("segmenter",)).dice
    assert dice is not None
    assert dice > 0.8
