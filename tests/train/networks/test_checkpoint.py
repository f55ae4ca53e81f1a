import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from ctpdeploy.errors import InputError
from ctpdeploy.train.networks import (
    Chain,
    ContextEncoder,
    Network,
    SLNet,
    UNet,
    load_chain,
    load_network,
    save_networks,
)
from ctpdeploy.train.networks.checkpoint import ARCHITECTURES
from ctpdeploy.train.networks.discriminator import Discriminator
from ctpdeploy.train.networks.fcn import FCN
from ctpdeploy.train.networks.r2unet import R2UNet
from ctpdeploy.train.networks.resunet import ResUNet

WIRING = {"extractor": ("frames",), "generator": ("features", "extractor"), "segmenter": ("pseudo_dwi",)}

NETWORKS: list[Network] = [
    UNet(3, 2, 4),
    SLNet(3, 2, 4, squeeze_excite=False, momentum=0.75, debias=False),
    SLNet(3, 2, 4, switch_norm=False),
    FCN(3, 2, 4),
    R2UNet(3, 2, 4, steps=1),
    ResUNet(3, 2, 4),
    Discriminator(3, 4, scales=2),
    ContextEncoder(),
]


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(1)
    networks = {"extractor": UNet(6, 1, 4), "generator": UNet(6, 1, 4), "segmenter": SLNet(1, 2, 4, momentum=0.8)}
    chain = Chain(WIRING, networks)
    chain(torch.rand(2, 6, 32, 32), torch.rand(2, 5, 32, 32))  # gives the running statistics something to hold
    return chain.eval()


def save(chain: Chain, folder: Path) -> None:
    save_networks(folder, dict(chain.named_children()), chain.wiring)


def said(network: Network, x: Tensor) -> list[Tensor]:
    outputs = network(x)
    return outputs if isinstance(outputs, list) else [outputs]


def test_every_architecture_has_its_round_trip_here() -> None:
    assert {type(network) for network in NETWORKS} == set(ARCHITECTURES.values())


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: type(network).__name__)
def test_loaded_network_gives_the_same_outputs(network: Network, tmp_path: Path) -> None:
    x = torch.rand(2, 1 if isinstance(network, ContextEncoder) else 3, 64, 64)
    network.train()(x)
    save_networks(tmp_path, {"network": network})
    loaded = load_network(tmp_path / "network.safetensors", type(network))
    assert not loaded.training
    assert loaded.arguments == network.arguments
    for ours, theirs in zip(said(network.eval(), x), said(loaded, x), strict=True):
        assert torch.equal(ours, theirs)


def test_loaded_chain_gives_the_same_outputs(chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    loaded = load_chain(tmp_path)
    assert not loaded.training
    assert loaded.wiring == chain.wiring
    inputs = torch.rand(2, 6, 32, 32), torch.rand(2, 5, 32, 32)
    ours, theirs = chain(*inputs), loaded(*inputs)
    assert list(ours) == list(theirs) == ["extractor", "pseudo_dwi", "logits"]
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_segmenter_alone_is_a_chain(tmp_path: Path) -> None:
    save(Chain({"segmenter": ("maps",)}, {"segmenter": FCN(4, 2, 4)}), tmp_path)
    loaded = load_chain(tmp_path)
    assert loaded.wiring == {"segmenter": ("maps",)}
    assert loaded(torch.rand(1, 6, 32, 32), torch.rand(1, 5, 32, 32))["logits"].shape == (1, 2, 32, 32)


def test_equal_networks_are_equal_files(chain: Chain, tmp_path: Path) -> None:
    contents = set()
    for number in range(8):  # one of two random orders would pass by chance once in 128
        (tmp_path / str(number)).mkdir()
        save(chain, tmp_path / str(number))
        contents.add((tmp_path / str(number) / "segmenter.safetensors").read_bytes())
    assert len(contents) == 1


def test_file_says_what_the_network_sees(chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    with safe_open(tmp_path / "generator.safetensors", framework="pt") as file:
        description = json.loads(file.metadata()["network"])
    assert description["architecture"] == "UNet"
    assert description["sees"] == ["features", "extractor"]


@pytest.mark.parametrize("missing", ["segmenter", "generator", "extractor"])
def test_missing_file_is_refused(missing: str, chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    (tmp_path / f"{missing}.safetensors").unlink()
    with pytest.raises(InputError, match=missing):
        load_chain(tmp_path)


def test_other_architecture_is_refused(tmp_path: Path) -> None:
    save_networks(tmp_path, {"network": ContextEncoder()})
    with pytest.raises(InputError, match="holds a ContextEncoder, not a SLNet"):
        load_network(tmp_path / "network.safetensors", SLNet)


def test_damaged_file_is_refused(chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    file = tmp_path / "segmenter.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="no network checkpoint"):
        load_chain(tmp_path)
