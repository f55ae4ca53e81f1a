"""Widened networks: the same function, at the cost of the width."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from widen_networks import widen_chain, widen_run

from ctpdeploy.errors import UsageError
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train import TrainConfig
from ctpdeploy.train.learner import make_chain
from ctpdeploy.train.networks import load_chain, save_networks
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.run_folder import RunFolder
from ctpdeploy.train.split import Split

CONFIG = TrainConfig(width=2, sn_momentum=0.9, preprocess=PreprocessConfig(slice_shape=(32, 32)))


def inputs(slices: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    frames, features = (torch.rand(slices, c, 32, 32, generator=generator, dtype=torch.float64) for c in (6, 5))
    return frames, features


@pytest.fixture
def chain() -> Chain:
    """The source's networks with no two parameters alike, and with running statistics of their own."""
    torch.manual_seed(0)
    networks = make_chain(SYSTEMS[CONFIG.system], CONFIG).double()
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + (0.5 if parameter.ndim == 1 else 0.0))
        for _ in range(3):
            networks.train()(*inputs(4))
    return networks.eval()


@pytest.mark.parametrize("factor", [2, 3, 8])
@torch.no_grad()
def test_each_network_keeps_its_function(chain: Chain, factor: int):
    given = inputs(2)
    expected, found = chain(*given), widen_chain(chain, factor)(*given)
    assert list(expected) == ["extractor", "pseudo_dwi", "logits"]
    for name, truth in expected.items():
        assert truth.std() > 1e-3, name  # else the slice says nothing
        torch.testing.assert_close(found[name], truth, rtol=1e-10, atol=1e-10)


def test_every_layer_has_the_width(chain: Chain):
    same_width = make_chain(SYSTEMS[CONFIG.system], replace(CONFIG, width=6))
    expected = {name: tensor.shape for name, tensor in same_width.state_dict().items()}
    assert {name: tensor.shape for name, tensor in widen_chain(chain, 3).state_dict().items()} == expected


def test_a_field_around_the_head_stays_in_finer_pixels(chain: Chain, tmp_path: Path):
    field = PreprocessConfig(slice_shape=(96, 80), pixel_mm=2.0)
    narrow = RunFolder(tmp_path / "narrow")
    narrow.begin(replace(CONFIG, preprocess=field), Split(train=("a",), validation=()), "drawn")
    best = narrow.checkpoint("best")
    best.mkdir()
    save_networks(best, dict(chain.float().named_children()), chain.wiring)
    widen_run(narrow.path, tmp_path / "wide", width=2, size=256)
    assert RunFolder(tmp_path / "wide").config().preprocess == PreprocessConfig(slice_shape=(192, 160), pixel_mm=1.0)


def test_a_run_becomes_one_of_another_width_and_size(chain: Chain, tmp_path: Path):
    narrow = RunFolder(tmp_path / "narrow")
    narrow.begin(CONFIG, Split(train=("a",), validation=()), "drawn")
    best = narrow.checkpoint("best")
    best.mkdir()
    save_networks(best, dict(chain.float().named_children()), chain.wiring)
    with pytest.raises(UsageError, match="no multiple of 2"):
        widen_run(narrow.path, tmp_path / "wide", width=3, size=64)
    widen_run(narrow.path, tmp_path / "wide", width=4, size=64)
    wide = RunFolder(tmp_path / "wide")
    assert wide.config() == replace(CONFIG, width=4, preprocess=PreprocessConfig(slice_shape=(64, 64)))
    assert wide.split() == narrow.split()
    given = [tensor.float() for tensor in inputs(1)]
    found, expected = load_chain(wide.checkpoint("best"))(*given), chain(*given)
    torch.testing.assert_close(found["logits"], expected["logits"], rtol=1e-3, atol=1e-3)
