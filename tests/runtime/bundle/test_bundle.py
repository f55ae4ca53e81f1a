import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ctpdeploy.errors import BackendError, InputError, UsageError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import preprocess


@pytest.fixture
def copy(tmp_path: Path, bundle_folder: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy.ctpbundle"))


def test_constants_and_networks_travel_in_the_bundle(bundle_folder: Path):
    bundle = Bundle.open(bundle_folder)
    assert bundle.preprocess.slice_shape == (64, 64)
    assert bundle.networks["pipeline"].inputs == {"frames": ["N", 6, 64, 64], "features": ["N", 5, 64, 64]}
    assert bundle.networks["pipeline"].outputs["probability"] == ["N", 64, 64]
    assert bundle.networks["pipeline"].parameters == sum(
        bundle.networks[name].parameters for name in ("extractor", "generator", "segmenter")
    )
    assert bundle.system == "dwi_olh"
    assert bundle.networks["generator"].sees == ["features", "extractor"]
    assert bundle.networks["pipeline"].sees == ["frames", "features"]
    assert set(bundle.digests) == {path.name for path in bundle_folder.iterdir()} - {"bundle.json"}
    assert str(bundle_folder.parent) not in (bundle_folder / "bundle.json").read_text()


@pytest.mark.parametrize("backend", [*BACKENDS, "auto"])
def test_slices_are_independent_of_their_batch(bundle_folder: Path, phantom_case: Case, backend: str):
    if backend in BACKENDS and (reason := BACKENDS[backend].unavailable_because()):
        pytest.skip(reason)
    bundle = Bundle.open(bundle_folder)
    engine = open_engine(bundle, backend)
    batch = preprocess(phantom_case, bundle.preprocess)[0]
    together = engine.run(batch)
    for i in range(len(batch.frames)):
        alone = engine.run(SliceBatch(frames=batch.frames[i : i + 1], features=batch.features[i : i + 1]))
        assert_allclose(alone.probability[0], together.probability[i], atol=1e-6)
        assert_allclose(alone.pseudo_dwi[0], together.pseudo_dwi[i], atol=1e-6)
    assert together.probability.dtype == np.float32
    assert engine.info.backend in BACKENDS


def test_a_changed_network_is_refused(copy: Path):
    path = copy / "pipeline.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"pipeline\.onnx is not the file that was sealed"):
        Pipeline.open(copy)


@pytest.mark.parametrize("name", ["extractor.onnx", "generator.onnx", "segmenter.onnx", "reference.safetensors"])
def test_what_does_not_run_is_refused_when_the_bundle_is_opened(copy: Path, name: str):
    with (copy / name).open("r+b") as file:
        file.seek(1000)
        file.write(b"?")
    with pytest.raises(InputError, match=f"{name} is not the file that was sealed"):
        Bundle.open(copy)


def test_a_backend_is_given_the_bytes_that_were_hashed(copy: Path):
    bundle = Bundle.open(copy)
    for name, network in bundle.networks.items():
        assert hashlib.sha256(bundle.network_content(name)).hexdigest() == network.sha256
    path = copy / "pipeline.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"?")  # after it was opened and looked at
    for ask in (bundle.network_content, bundle.network_file):
        with pytest.raises(InputError, match=r"pipeline\.onnx is not the file that was sealed"):
            ask("pipeline")
    path.write_bytes(content)
    assert bundle.network_file("pipeline") == path


def test_a_missing_network_is_refused(copy: Path):
    (copy / "pipeline.onnx").unlink()
    with pytest.raises(InputError, match=r"pipeline\.onnx is missing"):
        Pipeline.open(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.update(schema=99), "schema 99"),
        (lambda content: content["networks"].pop("pipeline"), "damaged"),
        (lambda content: content["preprocess"].update(frame=6), "damaged"),
        (lambda content: content["networks"]["segmenter"].update(colour="red"), "damaged"),
    ],
)
def test_another_or_a_damaged_manifest_is_refused(copy: Path, change, message: str):  # noqa: ANN001
    manifest = copy / "bundle.json"
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Bundle.open(copy)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path):
    with pytest.raises(InputError, match="is not a bundle"):
        Bundle.open(tmp_path)


def test_a_backend_gets_what_it_names_or_nothing(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch):
    bundle = Bundle.open(bundle_folder)
    with pytest.raises(UsageError, match="no backend 'tpu'"):
        open_engine(bundle, "tpu")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match=r"install ctpdeploy with its extra cpu"):
        open_engine(bundle, "ort-cpu")
    assert open_engine(bundle).info.backend == "native"
    monkeypatch.setitem(BACKENDS, "native", replace(BACKENDS["native"], unavailable_because=lambda: "no compiler"))
    assert open_engine(bundle).info.backend == "ncnn"
    for package in ("ncnn", "openvino"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendError, match=r"with its extra cpu.* with its extra ncnn"):
        open_engine(bundle)
