"""The backends, with stand-ins for the driver, PyCUDA and what runs engines; cache, builder and host side are real."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from support.bundles import write_bundle
from support.small_networks import INPUTS, OUTPUTS, fp16_network, fp32_network, int8_network
from support.tensorrt_stand_in import RtxStandIn

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.cuda import Workspace, requirements
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu
from ctpdeploy.runtime.backends.ort_cpu import in_float32
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.backends.trt import (
    TENSORRT_PACKAGES,
    BuildOptions,
    EngineCache,
    Target,
    backend,
    build_options,
    last_build_options,
    remember_build_options,
)
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.data.slices import SliceBatch

RTX = TENSORRT_PACKAGES["tensorrt-rtx"]
GPU = Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=20 << 30)
DRIVER = Driver(cuda="13.0", gpus=(GPU,), release="580.65.06")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Driver], None]:
    """A machine with PyCUDA, a driver and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    def has(driver: Driver) -> None:
        for module in (requirements, build_options):
            monkeypatch.setattr(module, "probe", lambda: driver)

    has(DRIVER)
    return has


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "b.ctpbundle"))


@pytest.mark.usefixtures("trt", "machine")
def test_a_bundle_is_opened_from_the_cache_and_built_where_it_is_not_there(
    bundle: Bundle,
    workspace: Workspace,
    phantom_case: Case,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    plans = []
    onnx = bundle.network_file(PIPELINE).read_bytes()
    stand_in = RtxStandIn(workspace.device)

    def network(trt: ModuleType, plan: bytes, *others: object) -> object:
        plans.append((trt.__name__, plan))
        return run_engine(stand_in, onnx, *others)

    run_engine = backend.TensorRTNetwork
    monkeypatch.setattr(backend, "TensorRTNetwork", network)
    monkeypatch.setattr(backend, "PycudaDevice", lambda: workspace.device)
    with caplog.at_level(logging.WARNING):
        first = open_engine(bundle, "tensorrt-rtx")
        assert "ctpdeploy warmup does it beforehand" in caplog.text
        assert f"for {bundle.source} on RTX 4000 Ada is 0 % built" in caplog.text
        caplog.clear()
        second = open_engine(bundle, "auto") if BACKENDS["tensorrt"].unavailable_because() else first
        assert caplog.text == ""
    assert len(set(plans)) == 1
    assert plans[0][0] == "tensorrt_rtx"
    assert second.info.backend == "tensorrt-rtx"
    assert second.info.device == "RTX 4000 Ada"
    assert second.info.versions["cuda driver"] == "580.65.06"
    reference = Pipeline(open_engine(bundle, "ort-cpu"), bundle.preprocess).predict(phantom_case)
    pipeline = Pipeline(second, bundle.preprocess)
    assert (pipeline.predict(phantom_case).mask == reference.mask).all()
    stand_in.spoils = True
    again = pipeline.predict(phantom_case)
    assert (again.mask == reference.mask).all()
    assert "this case was run again in fp32, by ort-cpu" in again.findings[-1].sentence


@pytest.mark.parametrize("network", [fp32_network, fp16_network, int8_network])
def test_the_network_in_float32_does_not_overflow(bundle: Bundle, network: Callable[[], bytes]):
    """Also where half precision would, by ONNX Runtime's own doing."""
    sealed = bundle.networks[PIPELINE]
    model = onnx.load_from_string(network())
    del model.opset_import[1]  # which a bundle does not have
    content = model.SerializeToString()
    (bundle.folder / sealed.file).write_bytes(content)
    same = replace(sealed, sha256=sha256(content).hexdigest(), size=len(content), inputs=INPUTS, outputs=OUTPUTS)
    open_again = in_float32(replace(bundle, networks={PIPELINE: same}))
    (bundle.folder / sealed.file).unlink()
    engine = open_again()
    frames = np.full((2, *INPUTS["frames"][1:]), 2e5, np.float32)
    probability = engine.run(SliceBatch(frames=frames, features=frames[:, :5])).probability
    assert engine.info.precision == "fp32"
    assert np.isfinite(probability).all()
    assert probability.any()


@pytest.mark.usefixtures("trt")
@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (replace(DRIVER, cuda="12.8"), "runs CUDA 12.8 at most"),
        (replace(DRIVER, gpus=(replace(GPU, compute_capability="9.0"),)), "does not build for compute capability 9.0"),
        (replace(DRIVER, gpus=(replace(GPU, compute_capability="6.1"),)), "has compute capability 6.1"),
    ],
)
def test_a_machine_that_does_not_fit_is_named(
    bundle: Bundle, machine: Callable[[Driver], None], driver: Driver, message: str
):
    machine(driver)
    assert message in BACKENDS["tensorrt-rtx"].unavailable_because()
    with pytest.raises(BackendError, match=rf"The backend tensorrt-rtx cannot run: .*{message}"):
        open_engine(bundle, "tensorrt-rtx")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("name", "extra"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "rtx")])
def test_with_a_gpu_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, name: str, extra: str):
    monkeypatch.setitem(sys.modules, TENSORRT_PACKAGES[name].module, None)
    assert f"install ctpdeploy with its extra {extra}" in BACKENDS[name].unavailable_because()


@pytest.mark.usefixtures("trt", "machine")
def test_auto_takes_no_backend_that_cannot_run(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    assert open_engine(bundle).info.backend == "ort-cpu"


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines", b"s" * 32)


@pytest.mark.usefixtures("trt", "machine")
def test_what_was_warmed_up_last_is_taken(bundle: Bundle, cache: EngineCache):
    usual = BuildOptions(target=Target(capabilities=("8.9",)))
    assert last_build_options(bundle, RTX, cache) == usual
    for chosen in (
        BuildOptions(target=Target(capabilities=("8.6", "8.9")), slices=(1, 2, 4)),
        BuildOptions(target=Target(), slices=(2, 3, 5)),
    ):
        remember_build_options(bundle, RTX, chosen, cache)
        assert last_build_options(bundle, RTX, cache) == chosen


@pytest.mark.usefixtures("trt", "machine")
def test_what_was_warmed_up_for_another_gpu_or_bundle_is_not(bundle: Bundle, cache: EngineCache, tmp_path: Path):
    usual = BuildOptions(target=Target(capabilities=("8.9",)))
    remember_build_options(bundle, RTX, BuildOptions(target=Target(capabilities=("12.0",)), slices=(1, 2, 4)), cache)
    assert last_build_options(bundle, RTX, cache) == replace(usual, slices=(1, 2, 4))
    network = replace(bundle.networks[PIPELINE], sha256="0" * 64)
    other = replace(bundle, networks={**bundle.networks, PIPELINE: network})
    assert last_build_options(other, RTX, cache) == usual
    for file in (tmp_path / "engines").iterdir():
        file.write_bytes(b"damaged")
    assert last_build_options(bundle, RTX, cache) == usual
