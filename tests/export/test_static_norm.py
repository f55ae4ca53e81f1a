"""Constant statistics: exact where the slice does not matter, bounded elsewhere, and judged by masks."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ctpdeploy.errors import UsageError
from ctpdeploy.export.fold import FoldedSwitchNorm, fold
from ctpdeploy.export.gate import make_reference
from ctpdeploy.export.graph_builder import Workbench
from ctpdeploy.export.static_norm import make_static
from ctpdeploy.export.verified_graphs import Approximation, prove
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.gate import reference_of
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d


@pytest.fixture(scope="module")
def chain(trained_run: Path) -> Chain:
    return load_chain(trained_run / "checkpoints" / "best")


@pytest.fixture(scope="module")
def reference(bundle_folder: Path) -> Reference:
    with Bundle.open(bundle_folder) as bundle:
        return reference_of(bundle)


def segmented(chain: Chain, reference: Reference) -> np.ndarray:
    with torch.inference_mode():
        return chain.segmenter(torch.from_numpy(reference.outputs["generator"])).numpy()


def test_exact_for_mixes_that_ignore_the_slice(chain: Chain, reference: Reference):
    ignorant = copy.deepcopy(chain).double().eval()
    for module in ignorant.modules():
        if isinstance(module, SwitchNorm2d):
            for mix in (module.mean_weight, module.var_weight):
                mix.data = torch.tensor([-100.0, -100.0, 0.0], dtype=torch.float64)
    static, bounds = make_static(fold(ignorant), reference)
    expected = segmented(ignorant, reference)
    np.testing.assert_allclose(segmented(static, reference), expected, atol=1e-9 * np.abs(expected).max())
    assert len(bounds) == 18
    assert max(bounds.values()) < 1e-9


def test_bounded_for_others_and_nothing_is_left_to_compute(chain: Chain, reference: Reference):
    folded = fold(chain)
    static, bounds = make_static(folded, reference)
    assert not any(isinstance(module, FoldedSwitchNorm) for module in static.modules())
    assert any(isinstance(module, FoldedSwitchNorm) for module in folded.modules()), "the original was changed"
    kinds = {type(module) for module in static.segmenter.modules() if not list(module.children())}
    assert kinds <= {nn.Conv2d, nn.ConvTranspose2d, nn.Identity, nn.ReLU, nn.MaxPool2d, nn.Linear}
    assert len(bounds) == 18
    assert all(bound > 1e-6 for bound in bounds.values())
    # the first layer has nothing before it: its bound is what it really is off by
    x = torch.from_numpy(reference.outputs["generator"])
    with torch.inference_mode():
        before = folded.segmenter.encoder[0].conv1(x)
        exact, constant = folded.segmenter.encoder[0].norm1(before), static.segmenter.encoder[0].conv1(x)
    assert bounds["segmenter/encoder.0.norm1"] == pytest.approx(float((exact - constant).abs().max() / exact.std()))
    assert np.abs(segmented(static, reference) - reference.outputs["segmenter"]).max() > 1e-6


def test_one_slice_is_its_own_constant(chain: Chain, reference: Reference):
    """Calibrated on a single slice the constants are that slice's, and there is no error on it."""
    one = reference.first(1)
    static, bounds = make_static(fold(chain), one)
    expected = one.outputs["segmenter"]
    np.testing.assert_allclose(segmented(static, one), expected, atol=1e-9 * np.abs(expected).max())
    assert max(bounds.values()) < 1e-9


def test_a_system_without_switchable_normalisation_is_refused(chain: Chain, reference: Reference, bundle_folder: Path):
    for module in (plain := copy.deepcopy(chain)).segmenter.modules():
        for name, child in list(module.named_children()):
            if isinstance(child, SwitchNorm2d):
                setattr(module, name, nn.BatchNorm2d(len(child.weight)))
    with Bundle.open(bundle_folder) as bundle:
        constants = bundle.preprocess
    batch = SliceBatch(
        frames=reference.frames,
        features=reference.features,
    )
    bench = Workbench(chain=plain, constants=constants, reference=make_reference(plain, batch))
    with pytest.raises(UsageError, match="No network of this system has Switchable Normalization"):
        prove(bench, Approximation(static_norm=True, calibration=batch), ["case_1"], lambda *_: None)
