"""Engines at work, on the CPU: a stand-in for the package, behind it the real host side and real streams."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.bundles import write_bundle
from support.small_networks import INPUTS, OUTPUTS, fp32_network
from support.tensorrt_stand_in import ACTIVATION_BYTES, RtxStandIn, StandIn

from ctpdeploy.emulator.device import host_view
from ctpdeploy.errors import BackendError, OutOfMemoryError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends.cuda import CudaEngine, DeviceArray, Workspace
from ctpdeploy.runtime.backends.trt.network import TensorRTNetwork
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Network
from ctpdeploy.runtime.data.prediction import EngineInfo

INFO = EngineInfo(backend="tensorrt", device="stand-in", precision="fp32")
SEALED = Network(
    file="pipeline.onnx", sha256="", size=0, sees=["frames"], inputs=INPUTS, outputs=OUTPUTS, opset=20, parameters=1,
    nodes=2,
)  # fmt: skip

Arrays = dict[str, DeviceArray]
MakeWorkspace = Callable[..., Workspace]
PACKAGES = [StandIn, RtxStandIn]


def opened(package: StandIn, workspace: Workspace) -> TensorRTNetwork:
    return TensorRTNetwork(package, fp32_network(), SEALED, workspace, INFO)


def batch(workspace: Workspace, slices: int, seed: int = 0) -> tuple[Arrays, Arrays]:
    """Inputs on the device, and memory for outputs."""
    values = np.random.default_rng(seed).normal(size=(slices, *INPUTS["frames"][1:])).astype(np.float32)
    outputs = workspace.array(f"probability {slices}", (slices, *OUTPUTS["probability"][1:]), np.float32)
    return {"frames": workspace.sent(f"frames {slices}", values)}, {"probability": outputs}


def expected(package: StandIn, inputs: Arrays) -> np.ndarray:
    session = package.contexts[0].engine.session
    return session.run(None, {"frames": host_view(inputs["frames"])})[0]


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_case_is_what_the_cpu_makes_of_it(
    make_workspace: MakeWorkspace, tmp_path: Path, phantom_case: Case, package: type[StandIn], seed: int
):
    folder = write_bundle(tmp_path / "b.ctpbundle")
    workspace = make_workspace(seed)
    stand_in = package(workspace.device)
    with Bundle.open(folder) as bundle:
        onnx, sealed = bundle.network_file(PIPELINE).read_bytes(), bundle.networks[PIPELINE]
        network = TensorRTNetwork(stand_in, onnx, sealed, workspace, INFO)
        pipeline = Pipeline(CudaEngine(network, workspace), bundle.preprocess)
    reference = Pipeline.open(folder, "ort-cpu").predict(phantom_case)
    for _ in range(4):
        found = pipeline.predict(phantom_case)
        assert_array_equal(found.mask, reference.mask)
        assert_allclose(found.probability, reference.probability, rtol=1e-6)
    assert 0 < found.mask.sum() < found.mask.size
    assert found.outputs.engine.cuda_graph == "active"
    assert found.outputs.engine.backend == "tensorrt"


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_network_says_of_itself(workspace: Workspace, package: type[StandIn]):
    network = opened(package(workspace.device), workspace)
    assert network.inputs == {"frames": (6, 16, 16)}
    assert network.outputs == {"probability": (16, 16)}
    assert network.most_slices == 4
    assert network.info == INFO


@pytest.mark.parametrize("package", PACKAGES)
def test_a_closed_network_has_freed_its_activations(workspace: Workspace, package: type[StandIn]):
    network = opened(package(workspace.device), workspace)
    network.run(*batch(workspace, 2))
    workspace.finish()
    activations = network._activations
    assert int(activations)
    network.close()
    assert not int(activations)


@pytest.mark.parametrize("package", PACKAGES)
def test_batches_of_all_sizes_follow_each_other(workspace: Workspace, package: type[StandIn]):
    stand_in = package(workspace.device)
    network = opened(stand_in, workspace)
    for seed, slices in enumerate((4, 1, 3, 4)):
        inputs, outputs = batch(workspace, slices, seed)
        network.run(inputs, outputs)
        workspace.finish()
        assert_array_equal(host_view(outputs["probability"]), expected(stand_in, inputs))
    assert len(stand_in.contexts) == 1


@pytest.mark.parametrize("package", PACKAGES)
def test_replays_survive_runs_of_other_shapes(workspace: Workspace, package: type[StandIn]):
    stand_in = package(workspace.device)
    network = opened(stand_in, workspace)
    batches = {slices: batch(workspace, slices) for slices in (2, 4)}
    replays = {}
    for slices, arrays in batches.items():
        network.run(*arrays)
        replays[slices] = network.capture(*arrays)
    network.run(*batch(workspace, 3))
    for slices, (inputs, outputs) in batches.items():
        workspace.device.upload(
            inputs["frames"], np.full(inputs["frames"].shape, slices, np.float32), workspace.kernels
        )
        replays[slices]()
        workspace.finish()
        assert_array_equal(host_view(outputs["probability"]), expected(stand_in, inputs))
    assert len(stand_in.contexts) == 3
    assert {context.memory for context in stand_in.contexts} == {stand_in.contexts[0].memory}
    assert [context.runs for context in stand_in.contexts[1:]] == [2, 2], "once as it is, once captured"


def test_where_no_graph_can_be_captured_there_is_none(workspace: Workspace):
    network = opened(RtxStandIn(workspace.device, capturable=False), workspace)
    arrays = batch(workspace, 2)
    network.run(*arrays)
    assert network.capture(*arrays) is None


def test_without_memory_for_another_context_there_is_no_graph(workspace: Workspace):
    stand_in = StandIn(workspace.device)
    network = opened(stand_in, workspace)
    stand_in.fails["create_execution_context"] = "Cuda Runtime (out of memory)"
    assert network.capture(*batch(workspace, 2)) is None


def test_activations_are_ours_and_kernels_are_compiled_at_once(workspace: Workspace):
    stand_in = RtxStandIn(workspace.device)
    opened(stand_in, workspace)
    (context,) = stand_in.contexts
    assert context.memory.nbytes == ACTIVATION_BYTES
    assert context.config.dynamic_shapes_kernel_specialization_strategy == "eager"


def test_a_card_that_is_too_small_is_told_how_much_is_needed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ctpdeploy.runtime.backends.cuda.errors.free_memory", lambda: 1_500_000)

    class Full:
        def allocate(self, _: int) -> None:
            raise OutOfMemoryError("The GPU refuses it.")

    stand_in = StandIn(workspace.device)
    small = Workspace(workspace.device)
    small.device = Full()
    with pytest.raises(OutOfMemoryError, match=r"needs 0\.00 GB .* of 4 slices .* 0\.00 GB are free .*fewer --slices"):
        opened(stand_in, small)


@pytest.mark.parametrize(
    "edit",
    [
        lambda tensors: tensors["frames"].__setitem__(0, "OUTPUT"),
        lambda tensors: tensors["frames"].__setitem__(1, "HALF"),
        lambda tensors: tensors["frames"][2].__setitem__(0, 1),
        lambda tensors: tensors["probability"][2].__setitem__(1, 17),
        lambda tensors: tensors.__setitem__("more", ["OUTPUT", "FLOAT", [-1, 1]]),
        lambda tensors: tensors.pop("probability"),
    ],
)
def test_an_engine_of_another_network_is_refused(workspace: Workspace, edit: Callable[[dict], object]):
    stand_in = StandIn(workspace.device)
    stand_in.edit = edit
    with pytest.raises(BackendError, match=r"has an engine with .* where the bundle has .*: run ctpdeploy warmup"):
        opened(stand_in, workspace)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("create_execution_context", "tensorrt 10.16.1.11 makes no execution context"),
        ("set_optimization_profile_async", "does not take its range of slices"),
    ],
)
def test_what_fails_at_the_opening_is_said(workspace: Workspace, method: str, message: str):
    stand_in = StandIn(workspace.device)
    stand_in.fails[method] = "Error Code 1: Myelin ([oops])"
    with pytest.raises(BackendError, match=rf"{message} \(Error Code 1: Myelin"):
        opened(stand_in, workspace)


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("Error Code 1: Cuda Runtime (out of memory)", OutOfMemoryError, "for want of memory"),
        ("an illegal memory access was encountered", BackendError, "lost to this process.*start again"),
        ("Error Code 3: API Usage Error", BackendError, r"does not run 2 slices \(Error Code 3"),
    ],
)
def test_a_run_that_fails_is_said_in_its_own_words(
    workspace: Workspace, said: str, kind: type[BackendError], message: str
):
    stand_in = StandIn(workspace.device)
    network = opened(stand_in, workspace)
    stand_in.fails["execute_async_v3"] = said
    for _ in range(2):
        with pytest.raises(kind, match=message) as caught:
            network.run(*batch(workspace, 2))
        assert type(caught.value) is kind
        assert str(caught.value).count(said) == 1, "what earlier runs logged is not repeated"


def test_more_slices_than_the_engine_takes_are_refused(workspace: Workspace):
    network = opened(StandIn(workspace.device), workspace)
    with pytest.raises(BackendError, match=r"does not run 5 slices \(frames takes no"):
        network.run(*batch(workspace, 5))
