from pathlib import Path

import pytest
import torch

from ctpdeploy.errors import InputError
from ctpdeploy.train.networks import Chain, ContextEncoder, SLNet, UNet, load_chain, load_network, save_networks


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(1)
    chain = Chain(UNet(6, 1, 4), UNet(6, 1, 4), SLNet(1, 2, 4, squeeze_excite=False, momentum=0.8))
    chain(torch.rand(2, 6, 32, 32), torch.rand(2, 5, 32, 32))  # gives the running statistics something to hold
    return chain.eval()


def save(chain: Chain, folder: Path) -> None:
    save_networks(folder, {"extractor": chain.extractor, "generator": chain.generator, "slnet": chain.slnet})


def test_loaded_chain_gives_the_same_outputs(chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    loaded = load_chain(tmp_path)
    assert not loaded.training
    assert loaded.slnet.arguments == chain.slnet.arguments
    inputs = torch.rand(2, 6, 32, 32), torch.rand(2, 5, 32, 32)
    for ours, theirs in zip(chain(*inputs), loaded(*inputs), strict=True):
        assert torch.equal(ours, theirs)


def test_equal_networks_are_equal_files(chain: Chain, tmp_path: Path) -> None:
    contents = set()
    for number in range(8):  # one of two random orders would pass by chance once in 128
        (tmp_path / str(number)).mkdir()
        save(chain, tmp_path / str(number))
        contents.add((tmp_path / str(number) / "slnet.safetensors").read_bytes())
    assert len(contents) == 1


def test_generator_takes_maps_then_mip_then_extractor(chain: Chain) -> None:
    frames, features = torch.rand(1, 6, 16, 16), torch.rand(1, 5, 16, 16)
    seen = []
    chain.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outputs = chain(frames, features)
    assert torch.equal(seen[0], torch.cat([features, outputs.extractor], dim=1))
    assert torch.equal(outputs.logits, chain.slnet(outputs.pseudo_dwi))


def test_chain_is_trained_end_to_end(chain: Chain) -> None:
    chain(torch.rand(1, 6, 32, 32), torch.rand(1, 5, 32, 32)).logits.square().mean().backward()
    assert chain.extractor.head.weight.grad is not None
    assert chain.extractor.head.weight.grad.abs().sum() > 0


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="extractor"):
        load_chain(tmp_path)


def test_other_architecture_is_refused(tmp_path: Path) -> None:
    save_networks(tmp_path, {"slnet": ContextEncoder()})
    with pytest.raises(InputError, match="holds a ContextEncoder, not a SLNet"):
        load_network(tmp_path / "slnet.safetensors", SLNet)


def test_damaged_file_is_refused(chain: Chain, tmp_path: Path) -> None:
    save(chain, tmp_path)
    file = tmp_path / "slnet.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(InputError, match="no network checkpoint"):
        load_chain(tmp_path)
