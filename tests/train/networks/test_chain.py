import pytest
import torch

from ctpdeploy.train.networks import Chain, SLNet, UNet

FRAMES, FEATURES, DWI = torch.rand(2, 6, 32, 32), torch.rand(2, 5, 32, 32), torch.rand(2, 1, 32, 32)


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(1)
    return Chain(
        {"segmenter": ("pseudo_dwi",), "generator": ("features", "extractor"), "extractor": ("frames",)},
        {"segmenter": SLNet(1, 2, 4), "generator": UNet(6, 1, 4), "extractor": UNet(6, 1, 4)},
    ).eval()


def test_generator_takes_maps_then_mip_then_extractor(chain: Chain) -> None:
    seen = []
    chain.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    outputs = chain(FRAMES, FEATURES)
    assert torch.equal(seen[0], torch.cat([FEATURES, chain.extractor(FRAMES)], dim=1))
    assert torch.equal(outputs["logits"], chain.segmenter(outputs["pseudo_dwi"]))


def test_networks_run_in_their_order_as_far_as_asked(chain: Chain) -> None:
    assert list(chain(FRAMES, FEATURES)) == ["extractor", "pseudo_dwi", "logits"]
    assert list(chain(FRAMES, FEATURES, upto="generator")) == ["extractor", "pseudo_dwi"]


def test_segmenter_may_see_maps_and_the_real_dwi() -> None:
    chain = Chain({"segmenter": ("maps", "dwi")}, {"segmenter": UNet(5, 2, 4)}).eval()
    expected = chain.segmenter(torch.cat([FEATURES[:, :4], DWI], dim=1))
    assert torch.equal(chain(FRAMES, FEATURES, DWI)["logits"], expected)


def test_chain_is_trained_end_to_end(chain: Chain) -> None:
    chain(FRAMES, FEATURES)["logits"].square().mean().backward()
    assert chain.extractor.head.weight.grad is not None
    assert chain.extractor.head.weight.grad.abs().sum() > 0
