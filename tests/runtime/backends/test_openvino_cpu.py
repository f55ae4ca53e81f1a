"""OpenVINO gives what ONNX Runtime gives, or says why it does not."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support import bundles

from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.registry import open_engine
from ctpdeploy.runtime.gate.gate import reference_of, try_engine
from ctpdeploy.runtime.preprocess.preprocess import preprocess


def test_it_passes_the_gate_and_agrees_with_onnx_runtime(bundle_folder: Path, phantom_case: Case):
    with Bundle.open(bundle_folder) as bundle:
        engine, other = open_engine(bundle, "openvino"), open_engine(bundle, "ort-cpu")
        assert not try_engine(bundle, engine, reference_of(bundle)).failures()
        batch = preprocess(phantom_case, bundle.preprocess)[0]
    found, expected = engine.run(batch), other.run(batch)
    for output in ("probability", "pseudo_dwi", "extractor"):
        np.testing.assert_allclose(getattr(found, output), getattr(expected, output), rtol=0, atol=1e-4, err_msg=output)
    assert engine.info.backend == "openvino"
    assert engine.info.precision == "fp32"


def test_a_zipped_bundle_may_be_gone_while_it_runs(bundle_folder: Path, phantom_case: Case, tmp_path: Path):
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "copy.ctpbundle"))
    with Bundle.open(copy) as bundle:
        engine, batch = open_engine(bundle, "openvino"), preprocess(phantom_case, bundle.preprocess)[0]
    shutil.rmtree(copy)
    assert np.isfinite(engine.run(batch).probability).all()


@pytest.mark.parametrize(
    ("role", "output"), [("extractor", "extractor"), ("generator", "pseudo_dwi"), ("segmenter", "logits")]
)
def test_nan_between_the_networks_is_no_mask(
    bundle_folder: Path, phantom_case: Case, tmp_path: Path, role: str, output: str
):
    """Of it nothing may be left in the probability: Relu, MaxPool and Softmax make numbers of it."""

    def overflow(network: onnx.ModelProto) -> None:
        for tensor in network.graph.initializer:
            if tensor.name in (f"{role}/head.weight", f"{role}/head.bias"):
                largest = np.full(tensor.dims, 3.4e38, np.float32)
                tensor.CopyFrom(numpy_helper.from_array(largest, tensor.name))

    folder = Path(shutil.copytree(bundle_folder, tmp_path / "copy.ctpbundle"))
    bundles.edit_network(folder, overflow)
    with (
        Pipeline.open(folder, "openvino") as pipeline,
        pytest.raises(GuardError, match=f"The {output} that the backend openvino computes holds NaN or infinity"),
    ):
        pipeline.predict(phantom_case)


def test_quantised_networks_are_refused(bundle_folder: Path):
    with Bundle.open(bundle_folder) as bundle:
        quantised = dataclasses.replace(bundle, precision="int8")
        with pytest.raises(BackendError, match="does not run int8 bundles"):
            open_engine(quantised, "openvino")
