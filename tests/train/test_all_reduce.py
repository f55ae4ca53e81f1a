"""Two processes with a part of the batch each compute what one process computes with all of it."""

import itertools
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from ctpdeploy.train.all_reduce import batch_mean, batch_sum
from ctpdeploy.train.losses import (
    SEGMENTATION_TERMS,
    context_loss,
    discriminator_loss,
    generator_loss,
    hardness_aware_loss,
    pixel_loss,
    weighted_cross_entropy,
)
from ctpdeploy.train.networks.batch_norm import BatchNorm2d
from ctpdeploy.train.networks.initialise import initialise
from ctpdeploy.train.networks.segmenters import make_segmenter
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

Parts = dict[str, Tensor]
Results = dict[str, Tensor]

ROWS = (slice(0, 2), slice(2, 5))
"""The slices of each process: unequal shares of a batch of five."""

WHOLE = slice(0, 5)

LESIONS = ("unequal", "one-sided", "nowhere", "everywhere")

NETWORKS = ("fcn", "unet", "r2unet", "resunet", "slnet")

TERMS = [*((name, False) for name in SEGMENTATION_TERMS), ("gd", True), ("hgd", True)]


def batch(lesions: str) -> Parts:
    """Five slices with all that losses look at; float64, the same in every process."""
    generator = torch.Generator().manual_seed(1)
    names = {"logits": 2, "weight": 1, "image": 1, "target": 1, "code": 16, "other": 16, "real": 1, "fake": 1}
    parts = {
        name: torch.randn(5, channels, 4, 3, dtype=torch.float64, generator=generator)
        for name, channels in names.items()
    }
    parts["weight"] = parts["weight"][:, 0].abs() + 0.5
    lesion = torch.zeros(5, 4, 3, dtype=torch.bool)
    if lesions == "unequal":
        lesion[0, 0, 0] = lesion[3, :, 1] = lesion[4, 1:, :] = True
    elif lesions == "one-sided":
        lesion[1, 2, :2] = True
    return parts | {"lesion": ~lesion if lesions == "everywhere" else lesion}


def losses() -> dict[str, Callable[[Parts], Tensor]]:
    """Every term of every loss, by a name that is the same in every process."""
    terms: dict[str, Callable[[Parts], Tensor]] = {}
    for name, per_image in TERMS:
        terms[f"{name}-{per_image}"] = lambda p, name=name, per_image=per_image: SEGMENTATION_TERMS[name](
            p["logits"], p["lesion"], p["weight"], per_image
        )
    for kind, norm in itertools.product(["l1", "l2", "wl2"], ["mean", "norm_per_image", "sum"]):
        terms[f"{kind}-{norm}"] = lambda p, kind=kind, norm=norm: pixel_loss(
            p["image"], p["target"], p["weight"], kind=kind, norm=norm
        )
    for order in (1, 2):
        terms[f"context-{order}"] = lambda p, order=order: context_loss(p["code"], p["other"], order=order)
    scales: Callable[[Tensor], list[Tensor]] = lambda x: [x, x[..., ::2, ::2].square()]  # noqa: E731
    terms["generator"] = lambda p: generator_loss(scales(p["fake"]))
    terms["discriminator"] = lambda p: discriminator_loss(scales(p["real"]), scales(p["fake"]))
    return terms


def differentiated(rows: slice) -> Results:
    """Each loss, and its gradient with respect to everything that it looks at."""
    results: Results = {}
    for lesions, (name, loss) in itertools.product(LESIONS, losses().items()):
        parts = {key: part[rows].clone() for key, part in batch(lesions).items()}
        leaves = {key: part.requires_grad_() for key, part in parts.items() if key not in ("lesion", "weight")}
        value = loss(parts)
        gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
        results[f"{lesions} {name}"] = value.detach()
        for key, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                results[f"{lesions} {name} gradient {key}"] = gradient
    return results


def normalised(rows: slice) -> Results:
    """Both kinds of normalisation after two steps: outputs, gradients, running statistics."""
    results: Results = {}
    for name, norm in (("batch", BatchNorm2d(3)), ("switch", SwitchNorm2d(3, momentum=0.8))):
        norm.double()
        for parameter in norm.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
        for step in (1, 2):
            whole = torch.randn(5, 3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
            x = (whole * torch.arange(1, 6)[:, None, None, None] + step)[rows].requires_grad_()
            y = norm(x)
            batch_sum((y**3).sum()).backward()
        results |= {f"{name} slices output": y.detach(), f"{name} slices gradient": x.grad}
        results[f"{name} slices evaluated"] = norm.eval()(x).detach()
        results |= {f"{name} gradient {key}": parameter.grad for key, parameter in norm.named_parameters()}
        results |= {f"{name} statistics {key}": buffer.clone() for key, buffer in norm.named_buffers()}
    return results


def trained(rows: slice) -> Results:
    """Gradients of a step of each network, by DistributedDataParallel where there is a process group."""
    results: Results = {}
    for name in NETWORKS:
        network: nn.Module = make_segmenter(name, 1, width=2, sn_momentum=0.9, sn_debias=True).double()
        initialise(network, torch.Generator().manual_seed(4))
        generator = torch.Generator().manual_seed(3)
        x = torch.randn(5, 1, 64, 64, dtype=torch.float64, generator=generator)[rows]
        lesion = torch.rand(5, 64, 64, generator=generator)[rows] > torch.linspace(0.5, 1, 5)[rows, None, None]
        run = DistributedDataParallel(network) if distributed.is_initialized() else network
        logits = run(x)
        loss = weighted_cross_entropy(logits, lesion, 1 + x[:, 0].abs())
        (loss + hardness_aware_loss(logits.softmax(dim=1), lesion)).backward()
        results[f"{name} loss"] = loss.detach()
        results |= {f"{name} gradient {key}": parameter.grad for key, parameter in network.named_parameters()}
        results |= {f"{name} statistics {key}": buffer.clone() for key, buffer in network.named_buffers()}
    return results


def everything(rows: slice) -> Results:
    return {
        f"{work.__name__} {key}": tensor.contiguous()
        for work in (differentiated, normalised, trained)
        for key, tensor in work(rows).items()
    }


def enter(rank: int, folder: Path) -> None:
    """What each process does."""
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=len(ROWS),
        timeout=timedelta(seconds=60),
    )
    save_file(everything(ROWS[rank]), folder / f"{rank}.safetensors")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> list[Results]:
    """What each of two processes has."""
    folder = tmp_path_factory.mktemp("processes")
    multiprocessing.spawn(enter, (folder,), nprocs=len(ROWS))
    return [load_file(folder / f"{rank}.safetensors") for rank in range(len(ROWS))]


@pytest.fixture(scope="module")
def whole() -> Results:
    """What one process has with the whole batch."""
    return everything(WHOLE)


def select(results: Results, beginning: str) -> Results:
    chosen = {key: tensor for key, tensor in results.items() if key.startswith(beginning)}
    assert chosen
    return chosen


def assert_close(key: str, ours: Tensor, theirs: Tensor, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(ours, theirs, rtol=rtol, atol=1e-13, msg=lambda text: f"{key}: {text}")


@pytest.mark.parametrize("name", losses())
@pytest.mark.parametrize("lesions", LESIONS)
def test_losses_are_those_of_the_whole_batch(parts: list[Results], whole: Results, lesions: str, name: str) -> None:
    expected = select(whole, f"differentiated {lesions} {name}")
    for key, tensor in expected.items():
        ours = [part[key] for part in parts]
        if "gradient" in key:  # each process has W times its own part of it
            assert_close(key, torch.cat(ours) / len(ROWS), tensor)
        else:
            for value in ours:
                assert_close(key, value, tensor)


@pytest.mark.parametrize("name", ["batch", "switch"])
def test_normalisation_is_by_the_statistics_of_the_whole_batch(parts: list[Results], whole: Results, name: str) -> None:
    expected = select(whole, f"normalised {name}")
    for key, tensor in expected.items():
        ours = [part[key] for part in parts]
        if "slices gradient" in key:
            joined = torch.cat(ours) / len(ROWS)
        elif "slices" in key:
            joined = torch.cat(ours)
        elif "gradient" in key:
            joined = sum(ours) / len(ROWS)
        else:
            assert torch.equal(*ours)
            joined = ours[0]
        assert_close(key, joined, tensor)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_learns_from_two_processes_as_from_one(parts: list[Results], whole: Results, name: str) -> None:
    for key, tensor in select(whole, f"trained {name} ").items():
        one, other = (part[key] for part in parts)
        assert torch.equal(one, other)
        assert_close(key, one, tensor, rtol=1e-8)


def test_one_process_alone_talks_to_nobody() -> None:
    x = torch.rand(3, 4, requires_grad=True)
    assert batch_sum(x) is x
    torch.testing.assert_close(batch_mean(x), x.mean())
