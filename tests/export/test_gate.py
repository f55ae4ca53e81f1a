"""The gate lets a faithful export pass and stops each planted fault, by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from ctpdeploy.config import merge
from ctpdeploy.errors import ExitCode, GateError, InputError, UsageError
from ctpdeploy.export import export_run
from ctpdeploy.export.fold import fold
from ctpdeploy.export.gate import verify
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.preprocess import PreprocessConfig, preprocess
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.networks.chain import Chain

NAMES = ("extractor", "generator", "segmenter", "pipeline")


@pytest.fixture(scope="module")
def chain(trained_run: Path) -> Chain:
    return load_chain(trained_run / "checkpoints" / "best")


def gate(chain: Chain, folder: Path, case: Case, folded: Chain | None = None):
    constants = json.loads((folder / "bundle.json").read_text())[
        "preprocess"
    ]  # opening would find the fault by its hash
    batch = preprocess(case, merge(PreprocessConfig(), constants))
    return verify(chain, folded or fold(chain), {name: folder / f"{name}.onnx" for name in NAMES}, batch, ["case_1"])


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
    "the other class": ("pipeline", take_other_class, "labels differ beyond rounding"),
    "softmax over the wrong axis": ("pipeline", wrong_softmax_axis, "onnx chain"),
    "features permuted": ("pipeline", permute_channels, "onnx chain"),
}


def test_a_faithful_export_passes(chain: Chain, bundle_folder: Path, phantom_case: Case):
    verification = gate(chain, bundle_folder, phantom_case)
    assert verification.failures() == []
    assert verification.flips_beyond_rounding == 0
    assert {(check.candidate, check.tensor) for check in verification.checks} == {
        (candidate, tensor)
        for candidate in ("folded", "onnx")
        for tensor in ("extractor", "generator", "segmenter", "chain")
    }
    written = json.loads((bundle_folder / "verification.json").read_text())
    assert written["slices"] == 2
    assert written["cases"] == ["case_1"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(tmp_path: Path, chain: Chain, bundle_folder: Path, phantom_case: Case, fault: str):
    network, plant, name = FAULTS[fault]
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "faulty"))
    model = onnx.load(folder / f"{network}.onnx")
    plant(model)
    onnx.save(model, folder / f"{network}.onnx")
    with pytest.raises(GateError) as stop:
        gate(chain, folder, phantom_case)
    assert name in str(stop.value)
    assert "nothing was published" in str(stop.value)
    assert stop.value.exit_code == ExitCode.GUARD


def test_a_wrongly_folded_layer_is_named(chain: Chain, bundle_folder: Path, phantom_case: Case):
    folded = fold(chain)
    norm = next(m for m in folded.segmenter.modules() if type(m).__name__ == "FoldedSwitchNorm")
    norm.var_mix = norm.var_mix[::-1] if norm.var_mix[0] != norm.var_mix[1] else [0.0, 0.0]
    norm.mean_mix = [0.0, 0.0]
    with pytest.raises(GateError, match="folded segmenter"):
        gate(chain, bundle_folder, phantom_case, folded)


def test_nothing_is_published_when_the_gate_does_not_hold(
    tmp_path: Path, trained_run: Path, phantom_case: Case, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def reuse(network: object, path: Path, **names: object) -> onnx.ModelProto:  # noqa: ARG001  saves the export's time
        model = onnx.load(bundle_folder / path.name)
        scale_weight(model, 1.01)
        onnx.save(model, path)
        return model

    monkeypatch.setattr("ctpdeploy.export.seal.export_network", reuse)
    with pytest.raises(GateError):
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
    from ctpdeploy.runtime import Pipeline, find_cases, read_case
    from ctpdeploy.train import open_run

    torch_pipeline, onnx_pipeline = open_run(trained_run), Pipeline.open(bundle_folder)
    for folder in find_cases(phantom_folder):
        case = read_case(folder)
        expected, got = torch_pipeline.predict(case), onnx_pipeline.predict(case)
        np.testing.assert_allclose(got.probability, expected.probability, atol=2e-4)
        near = np.abs(expected.probability - 0.5) < 2e-4
        assert not ((got.mask != expected.mask) & ~near).any()
