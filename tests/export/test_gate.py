"""The gate lets a faithful export pass and stops each planted fault, by name."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support import bundles
from torch import nn

from ctpdeploy.errors import ExitCode, GateError, InputError, UsageError
from ctpdeploy.export import export_run
from ctpdeploy.export.fold import FoldedSwitchNorm, fold
from ctpdeploy.export.gate import first_difference, make_reference, try_folded
from ctpdeploy.export.static_norm import make_static
from ctpdeploy.runtime import Bundle, Case
from ctpdeploy.runtime.bundle.bundle import Network
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.gate import try_networks
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.runtime.gate.verification import LIMITS, Comparison
from ctpdeploy.runtime.preprocess.preprocess import preprocess
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.networks.chain import Chain
from ctpdeploy.train.networks.switch_norm import SwitchNorm2d

NAMES = ("extractor", "generator", "segmenter", "pipeline")


@pytest.fixture(scope="module")
def chain(trained_run: Path) -> Chain:
    return load_chain(trained_run / "checkpoints" / "best")


@pytest.fixture(scope="module")
def reference(chain: Chain, bundle_folder: Path, phantom_case: Case) -> Reference:
    batch = preprocess(phantom_case, Bundle.open(bundle_folder).preprocess)[0]
    return make_reference(chain, batch)


def try_graphs(folder: Path, reference: Reference) -> Comparison:
    content = json.loads((folder / "bundle.json").read_text())  # opening would find the fault by its hash
    networks = {name: Network(**network) for name, network in content["networks"].items()}
    return try_networks("onnx", networks, folder, reference, LIMITS["fp32"])


def scale_weight(model: onnx.ModelProto, factor: float, needle: str = "") -> None:
    """Multiply the largest weight tensor whose name holds ``needle``."""
    chosen = max((t for t in model.graph.initializer if needle in t.name), key=lambda t: int(np.prod(t.dims)))
    chosen.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(chosen) * np.float32(factor), chosen.name))


def take_other_class(model: onnx.ModelProto) -> None:
    lesion = next(t for t in model.graph.initializer if t.name == "lesion")
    lesion.CopyFrom(numpy_helper.from_array(np.array(0, dtype=np.int64), "lesion"))


def wrong_softmax_axis(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Softmax")
    node.attribute[0].i = 2


def permute_channels(model: onnx.ModelProto) -> None:
    node = next(n for n in model.graph.node if n.op_type == "Concat" and "features" in n.input)
    node.input[0], node.input[1] = node.input[1], node.input[0]


FAULTS: dict[str, tuple[str, Callable[[onnx.ModelProto], None], str]] = {
    "a weight 1 % off": ("segmenter", lambda model: scale_weight(model, 1.01), "onnx segmenter"),
    "NaN in a weight": ("generator", lambda model: scale_weight(model, float("nan")), "onnx generator"),
    "a weight of the merger 1 % off": ("pipeline", lambda m: scale_weight(m, 1.01, "extractor/"), "onnx chain"),
    "the other class": ("pipeline", take_other_class, "labels beyond rounding"),
    "softmax over the wrong axis": ("pipeline", wrong_softmax_axis, "onnx chain"),
    "features permuted": ("pipeline", permute_channels, "onnx chain"),
}


def test_a_faithful_export_passes(chain: Chain, reference: Reference, bundle_folder: Path):
    for trial in (try_folded(fold(chain), reference), try_graphs(bundle_folder, reference)):
        assert trial.failures() == []
        assert trial.flips_beyond_rounding == 0
        assert {check.tensor for check in trial.checks} == {"extractor", "generator", "segmenter", "chain"}
    assert first_difference(chain, fold(chain), reference) is None
    written = json.loads((bundle_folder / "verification.json").read_text())
    assert written["slices"] == 4
    assert written["cases"] == ["case_1", "case_1-coarse"]
    assert [trial["candidate"] for trial in written["trials"]] == ["folded", "onnx"]
    assert written["trials"][1]["limits"]["rms_ratio"] == 2.0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(tmp_path: Path, reference: Reference, bundle_folder: Path, fault: str):
    network, plant, name = FAULTS[fault]
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "faulty"))
    model = onnx.load(folder / f"{network}.onnx")
    plant(model)
    onnx.save(model, folder / f"{network}.onnx")
    with pytest.raises(GateError) as stop:
        try_graphs(folder, reference).require()
    assert name in str(stop.value)
    assert "nothing was published" in str(stop.value)
    assert stop.value.exit_code == ExitCode.GUARD


def norms(folded: Chain) -> list[tuple[nn.Module, str, FoldedSwitchNorm]]:
    return [
        (parent, name, child)
        for parent in folded.segmenter.modules()
        for name, child in parent.named_children()
        if isinstance(child, FoldedSwitchNorm)
    ]


def mixes_swapped(folded: Chain, _: Reference) -> None:
    _, _, norm = norms(folded)[0]
    norm.var_mix = norm.var_mix[::-1] if norm.var_mix[0] != norm.var_mix[1] else [0.0, 0.0]
    norm.mean_mix = [0.0, 0.0]


def bessel_factor_added(folded: Chain, _: Reference) -> None:
    for _, _, norm in norms(folded):
        norm.unbiased = not norm.unbiased


def one_layer_static(folded: Chain, reference: Reference) -> None:
    static, _ = make_static(folded, reference)
    block, other = (module.segmenter.encoder[1] for module in (folded, static))
    block.conv2, block.norm2 = other.conv2, other.norm2


FOLDING_FAULTS: dict[str, tuple[Callable[[Chain, Reference], None], str, str]] = {
    "mixes swapped": (mixes_swapped, "folded segmenter", r"encoder\.0\.norm1"),
    "n/(n-1) where there is none": (bessel_factor_added, "folded segmenter", r"encoder\.0\.norm1"),
    "one layer folded statically": (one_layer_static, "folded segmenter", r"encoder\.1\.norm2"),
}


@pytest.mark.parametrize("fault", FOLDING_FAULTS)
def test_a_wrongly_folded_layer_is_named(chain: Chain, reference: Reference, fault: str):
    plant, name, layer = FOLDING_FAULTS[fault]
    folded = fold(chain)
    plant(folded, reference)
    with pytest.raises(GateError, match=name):
        try_folded(folded, reference).require()
    found = first_difference(chain, folded, reference)
    assert found is not None
    assert re.fullmatch(rf"segmenter\.{layer}", found)


def test_networks_that_still_train_are_named(chain: Chain, reference: Reference):
    """``eval()`` forgotten: nothing is folded either, so that batch normalisation is there to go wrong."""
    training = copy.deepcopy(chain).double().train()
    with pytest.raises(GateError, match="folded generator"):
        try_folded(training, reference).require()
    assert first_difference(chain, training, reference) == "extractor.encoder.0.norm1"


def test_a_missing_n_over_n_minus_one_is_named(chain: Chain, reference: Reference):
    """A chain that trained with n/(n-1), folded without."""
    trained = copy.deepcopy(chain)
    for module in trained.modules():
        if isinstance(module, SwitchNorm2d):
            module.unbiased = True
    batch = SliceBatch(frames=reference.frames, features=reference.features)
    expected = make_reference(trained, batch)
    assert try_folded(fold(trained), expected).failures() == []
    with pytest.raises(GateError, match="folded segmenter"):
        try_folded(fold(chain), expected).require()


def test_nothing_is_published_when_the_gate_does_not_hold(
    tmp_path: Path, trained_run: Path, phantom_case: Case, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    bundles.reuse_graphs(bundle_folder, monkeypatch, change=lambda model: scale_weight(model, 1.01))
    with pytest.raises(GateError, match="onnx segmenter"):
        export_run(trained_run, tmp_path / "out" / "x.ctpbundle", [phantom_case])
    assert list((tmp_path / "out").iterdir()) == []


def test_export_refuses_what_is_no_run_and_what_exists(tmp_path: Path, phantom_case: Case, trained_run: Path):
    with pytest.raises(InputError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "x.ctpbundle", [phantom_case])
    (tmp_path / "there.ctpbundle").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        export_run(trained_run, tmp_path / "there.ctpbundle", [phantom_case])


def test_the_graph_carries_no_path_of_this_machine_and_no_normalisation(bundle_folder: Path):
    for name in NAMES:
        content = (bundle_folder / f"{name}.onnx").read_bytes()
        assert b"site-packages" not in content
        assert str(Path.cwd()).encode() not in content
        operators = {node.op_type for node in onnx.load(bundle_folder / f"{name}.onnx").graph.node}
        assert not operators & {"BatchNormalization", "InstanceNormalization", "LayerNormalization"}


def test_the_exported_mask_is_torchs_mask(trained_run: Path, bundle_folder: Path, phantom_folder: Path):
    """The same weights through the same pipeline, in torch and in ONNX Runtime."""
    from ctpdeploy.runtime import Pipeline, find_cases
    from ctpdeploy.train import open_run

    torch_pipeline, onnx_pipeline = open_run(trained_run), Pipeline.open(bundle_folder)
    for case in [ref.read() for ref in find_cases(phantom_folder)]:
        expected, got = torch_pipeline.predict(case), onnx_pipeline.predict(case)
        np.testing.assert_allclose(got.probability, expected.probability, atol=2e-4)
        near = np.abs(expected.probability - 0.5) < 2e-4
        assert not ((got.mask != expected.mask) & ~near).any()
