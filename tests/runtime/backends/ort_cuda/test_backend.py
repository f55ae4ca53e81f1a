"""The CUDA provider of ONNX Runtime, as far as it can be tried without a GPU.

Sessions are real and on the CPU; between them and the network stands what makes a CUDA session of one: it takes the
addresses of a :class:`HostDevice`, and queues its runs in the device's stream.
"""

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bundles import write_bundle
from support.small_networks import INPUTS, OUTPUTS, fp32_network

from ctpdeploy.emulator.device import HostDevice, host_view
from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.cuda import CudaEngine, DeviceArray, Workspace, requirements
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu
from ctpdeploy.runtime.backends.ort_cuda import backend
from ctpdeploy.runtime.backends.ort_cuda import network as network_module
from ctpdeploy.runtime.backends.ort_cuda.network import OrtCudaNetwork
from ctpdeploy.runtime.backends.ort_cuda.session import open_session
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Network
from ctpdeploy.runtime.data.prediction import EngineInfo

INFO = EngineInfo(backend="ort-cuda", device="stand-in", precision="fp32")
SEALED = Network(
    file="pipeline.onnx", sha256="", size=0, sees=["frames"], inputs=INPUTS, outputs=OUTPUTS, opset=20, parameters=1,
    nodes=2,
)  # fmt: skip
DRIVER = Driver(cuda="13.0", gpus=(Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=20 << 30),))

Arrays = dict[str, DeviceArray]


class CudaSession:
    """A session on the CPU as one on a GPU; graphs by their numbers, each on the addresses that it was captured with.

    Attributes:
        numbers: of the graphs, of all runs.
        fails: what a run raises, by the number of its graph.
        spoils: whether all outputs become NaN.
    """

    def __init__(self, onnx: bytes, device: HostDevice, stream: int) -> None:
        self.session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
        self.device, self.stream = device, device._streams[stream]
        self.numbers: list[int] = []
        self.fails: dict[int, str] = {}
        self.spoils = False
        self.graphs: dict[int, dict[str, tuple[Any, ...]]] = {}

    def io_binding(self) -> "Binding":
        return Binding()

    def run_with_iobinding(self, binding: "Binding", options: onnxruntime.RunOptions) -> None:
        assert options.get_run_config_entry("disable_synchronize_execution_providers") == "1"
        number = int(options.get_run_config_entry("gpu_graph_id"))
        self.numbers.append(number)
        if number in self.fails:
            raise RuntimeError(self.fails[number])
        bound = binding.bound if number == -1 else self.graphs.setdefault(number, binding.bound)
        inner = self.session.io_binding()
        for side, name, kind, shape, address in bound.values():
            getattr(inner, f"bind_{side}")(name, "cpu", 0, kind, shape, address)
        self.device.call(self.stream, lambda: self._compute(inner, bound))

    def _compute(self, inner: onnxruntime.IOBinding, bound: dict[str, tuple[Any, ...]]) -> None:
        self.session.run_with_iobinding(inner)
        for side, _, kind, shape, address in bound.values():
            if self.spoils and side == "output":
                host_view(DeviceArray(address=address, shape=shape, dtype=np.dtype(kind))).fill(np.nan)


class Binding:
    """What is bound to where; on a GPU the first one."""

    def __init__(self) -> None:
        self.bound: dict[str, tuple[Any, ...]] = {}

    def bind_input(self, name: str, device_type: str, device_id: int, kind: type, shape: tuple, address: int) -> None:
        assert (device_type, device_id, type(address)) == ("cuda", 0, int)
        self.bound[name] = ("input", name, kind, shape, address)

    def bind_output(self, name: str, device_type: str, device_id: int, kind: type, shape: tuple, address: int) -> None:
        assert (device_type, device_id, type(address)) == ("cuda", 0, int)
        self.bound[name] = ("output", name, kind, shape, address)


def opened(workspace: Workspace) -> tuple[OrtCudaNetwork, CudaSession]:
    session = CudaSession(fp32_network(), workspace.device, workspace.kernels.handle)
    return OrtCudaNetwork(session, SEALED, workspace, INFO), session


def batch(workspace: Workspace, slices: int) -> tuple[Arrays, Arrays]:
    values = np.random.default_rng(slices).normal(size=(slices, *INPUTS["frames"][1:])).astype(np.float32)
    outputs = workspace.array(f"probability {slices}", (slices, *OUTPUTS["probability"][1:]), np.float32)
    return {"frames": workspace.sent(f"frames {slices}", values)}, {"probability": outputs}


def expected(session: CudaSession, inputs: Arrays) -> np.ndarray:
    return session.session.run(None, {"frames": host_view(inputs["frames"])})[0]


@pytest.mark.parametrize("seed", range(3))
def test_a_case_is_what_the_cpu_makes_of_it(
    make_workspace: Callable[..., Workspace], tmp_path: Path, phantom_case: Case, seed: int
):
    folder, workspace = write_bundle(tmp_path / "b.ctpbundle"), make_workspace(seed)
    with Bundle.open(folder) as bundle:
        onnx = bundle.network_file(PIPELINE).read_bytes()
        session = CudaSession(onnx, workspace.device, workspace.kernels.handle)
        network = OrtCudaNetwork(session, bundle.networks[PIPELINE], workspace, INFO)
        pipeline = Pipeline(CudaEngine(network, workspace), bundle.preprocess)
    reference = Pipeline.open(folder, "ort-cpu").predict(phantom_case)
    for _ in range(4):
        found = pipeline.predict(phantom_case)
        assert_array_equal(found.mask, reference.mask)
        assert_allclose(found.probability, reference.probability, rtol=1e-6)
    assert found.outputs.engine.cuda_graph == "active"


def test_what_a_network_says_of_itself(workspace: Workspace):
    network, _ = opened(workspace)
    assert network.inputs == {"frames": (6, 16, 16)}
    assert network.outputs == {"probability": (16, 16)}
    assert network.most_slices == 32
    assert network.info == INFO


def test_the_session_goes_when_the_network_is_closed(workspace: Workspace):
    network, session = opened(workspace)
    inputs, outputs = batch(workspace, 2)
    network.run(inputs, outputs)
    workspace.finish()
    session_left = weakref.ref(session)
    del session
    network.close()
    assert session_left() is None


def test_every_capture_has_a_number_of_its_own(workspace: Workspace):
    network, session = opened(workspace)
    batches = [batch(workspace, slices) for slices in (2, 5)]
    replays = []
    for arrays in batches:
        network.run(*arrays)
        replays.append(network.capture(*arrays))
    assert session.numbers == [-1, 0, -1, 1]
    for (inputs, outputs), replay in zip(batches, replays, strict=True):
        workspace.device.upload(inputs["frames"], np.full(inputs["frames"].shape, 3, np.float32), workspace.kernels)
        replay()
        workspace.finish()
        assert_array_equal(host_view(outputs["probability"]), expected(session, inputs))
    assert session.numbers[4:] == [0, 1]


def test_a_capture_that_fails_is_ended_and_the_network_runs_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    left = []
    monkeypatch.setattr(network_module, "leave_capture", left.append)
    network, session = opened(workspace)
    session.fails[0] = "CUDA failure 900: operation not permitted when stream is capturing"
    inputs, outputs = batch(workspace, 2)
    assert network.capture(inputs, outputs) is None
    assert left == [workspace.kernels.handle]
    network.run(inputs, outputs)
    workspace.finish()
    assert_array_equal(host_view(outputs["probability"]), expected(session, inputs))


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("BFCArena: Failed to allocate memory for requested buffer of size 9", OutOfMemoryError, "for want of memory"),
        ("CUDA failure 700: an illegal memory access was encountered", BackendError, "lost to this process"),
        ("Non-zero status code returned", BackendError, r"does not run the networks \(Non-zero status"),
    ],
)
def test_a_run_that_fails_is_said_in_its_own_words(
    workspace: Workspace, said: str, kind: type[BackendError], message: str
):
    network, session = opened(workspace)
    session.fails[-1] = said
    with pytest.raises(kind, match=rf"ONNX Runtime 1\.\d+.*{message}") as caught:
        network.run(*batch(workspace, 2))
    assert type(caught.value) is kind


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider':UserWarning")
def test_without_cuda_nothing_is_opened_on_the_cpu():
    """By itself the real ONNX Runtime would, with a warning."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("This ONNX Runtime knows CUDA.")
    with pytest.raises(BackendError, match=r"does not open the whole network on the GPU \(.*fallback to CPU EP"):
        open_session(fp32_network(), 1234, memory=1 << 30)


class Package(ModuleType):
    """``onnxruntime`` with CUDA, whose sessions note what they are asked for.

    Attributes:
        missing: what the search for libraries prints.
        providers: what a session takes.
        refuses: what it says, if it does not open.
    """

    def __init__(self) -> None:
        super().__init__("onnxruntime")
        self.__version__ = "1.31.1"
        self.cuda_version = "13.0"
        self.SessionOptions = onnxruntime.SessionOptions
        self.missing = self.refuses = ""
        self.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        self.asked: dict[str, Any] = {}

    def preload_dlls(self) -> None:
        print(self.missing)  # noqa: T201

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, onnx: bytes, options: object, **keywords: Any) -> object:  # noqa: N802
        if self.refuses:
            raise RuntimeError(self.refuses)
        self.asked = {"onnx": onnx, "options": options, **keywords}
        return SimpleNamespace(get_providers=lambda: self.providers)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    package = Package()
    monkeypatch.setitem(sys.modules, "onnxruntime", package)
    return package


def test_a_session_is_asked_for_our_stream_and_full_precision(package: Package, capsys: pytest.CaptureFixture[str]):
    package.missing = "Failed to load libsomething.so"
    open_session(b"network", 1234, memory=5_000)
    assert capsys.readouterr().out == "", "stdout is for results"
    ((name, options),) = package.asked["providers"]
    assert name == "CUDAExecutionProvider"
    assert options["user_compute_stream"] == "1234"
    assert options["gpu_mem_limit"] == "5000"
    assert options["use_tf32"] == "0"
    assert options["enable_cuda_graph"] == "1"
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert all(type(value) is str for value in options.values())
    assert package.asked["enable_fallback"] == 0
    entries = package.asked["options"]
    assert entries.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
    assert entries.get_session_config_entry("session.disable_quant_qdq") == "1"


def test_another_provider_than_asked_for_is_refused(package: Package):
    package.providers = ["CPUExecutionProvider"]
    with pytest.raises(BackendError, match=r"whole network on the GPU \(it took CPUExecutionProvider\)"):
        open_session(b"network", 1234, memory=1)


def test_missing_libraries_are_named_with_the_command(package: Package):
    package.missing, package.refuses = "Failed to load libcublasLt.so.13", "fallback disabled"
    with pytest.raises(BackendError, match=r"find all of CUDA and cuDNN \(.*libcublasLt.*with its extra gpu"):
        open_session(b"network", 1234, memory=1)


def test_a_full_gpu_is_an_error_of_its_own(package: Package):
    package.refuses = "CUDA failure 2: out of memory"
    with pytest.raises(OutOfMemoryError, match="for want of memory"):
        open_session(b"network", 1234, memory=1)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Driver], None]:
    """A machine with PyCUDA and a driver."""
    for name in ("pycuda", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    def has(driver: Driver) -> None:
        monkeypatch.setattr(requirements, "probe", lambda: driver)

    has(DRIVER)
    return has


@pytest.mark.usefixtures("machine")
def test_the_package_for_cpus_is_named_with_the_command():
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("This ONNX Runtime knows CUDA.")
    reason = BACKENDS["ort-cuda"].unavailable_because()
    assert "knows no CUDA: run pip uninstall -y onnxruntime onnxruntime-gpu, then" in reason
    assert "install ctpdeploy with its extra gpu" in reason


@pytest.mark.usefixtures("machine")
def test_a_missing_and_a_half_removed_package_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "install ctpdeploy with its extra gpu" in backend.unavailable_because()
    monkeypatch.setitem(sys.modules, "onnxruntime", ModuleType("onnxruntime"))
    assert "half removed" in backend.unavailable_because()


def test_a_driver_older_than_the_package_is_named(package: Package, machine: Callable[[Driver], None]):
    assert backend.unavailable_because() is None
    package.cuda_version = "14.0"
    assert "onnxruntime 1.31.1 is built for CUDA 14" in backend.unavailable_because()
    machine(Driver(cuda="12.8", gpus=DRIVER.gpus))
    assert "ctpdeploy is built for CUDA 13" in backend.unavailable_because()


@pytest.mark.usefixtures("machine")
def test_a_bundle_is_opened(
    package: Package, workspace: Workspace, tmp_path: Path, phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    bundle = Bundle.open(write_bundle(tmp_path / "b.ctpbundle"))
    monkeypatch.setattr(backend, "PycudaDevice", lambda: workspace.device)
    monkeypatch.setattr(backend, "free_memory", lambda: 7_000)
    package.RunOptions = onnxruntime.RunOptions
    sessions = []
    package.InferenceSession = lambda onnx, _, **keywords: session_of(onnx, workspace.device, sessions, **keywords)
    pipeline = Pipeline(backend.open_engine(bundle), bundle.preprocess)
    found = pipeline.predict(phantom_case)
    assert found.outputs.engine.backend == "ort-cuda"
    assert found.outputs.engine.device == "RTX 4000 Ada"
    assert found.outputs.engine.versions == {"onnxruntime": "1.31.1", "cuda driver": "13.0"}
    assert 0 < found.mask.sum() < found.mask.size
    monkeypatch.setitem(sys.modules, "onnxruntime", onnxruntime)
    sessions[0].spoils = True
    again = pipeline.predict(phantom_case)
    assert_array_equal(again.mask, found.mask)
    assert "this case was run again in fp32, by ort-cpu" in again.findings[-1].sentence


def session_of(
    onnx: bytes, device: HostDevice, sessions: list[CudaSession], *, providers: list, enable_fallback: int
) -> CudaSession:
    assert enable_fallback == 0
    ((_, options),) = providers
    assert options["gpu_mem_limit"] == "7000"
    session = CudaSession(onnx, device, int(options["user_compute_stream"]))
    session.get_providers = lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    sessions.append(session)
    return session
