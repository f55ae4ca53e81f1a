"""The engine on the CPU, streams at random paces: equal to the host path, and steady when something gives way."""

import dataclasses
import gc
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.device_networks import HostTwin, SmallNetwork

from ctpdeploy.emulator.device import HostDevice
from ctpdeploy.errors import BackendError, GuardError, InputError, MissingPackageError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda import CudaEngine, DeviceArray, Workspace
from ctpdeploy.runtime.backends.cuda.graph_cache import MOST_GRAPHS, Replays
from ctpdeploy.runtime.backends.engine import CaseEngine
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.data.prediction import CaseOutputs
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

MakeCase = Callable[..., Case]
MakeWorkspace = Callable[..., Workspace]

GRID = (8, 12)
CONFIG = PreprocessConfig(slice_shape=GRID)


def assert_as_on_the_host(found: CaseOutputs, case: Case, *, rtol: float = 0.0) -> None:
    expected = run_reference_path(HostTwin(), case, CONFIG)
    assert found.window.frames == expected.window.frames
    assert found.mask.dtype == np.bool_
    assert_array_equal(found.mask, found.probability > CONFIG.threshold)
    assert_allclose(found.probability, expected.probability, rtol=rtol, atol=rtol, strict=True)
    assert_allclose(found.pseudo_dwi, expected.pseudo_dwi, rtol=rtol, atol=2 * rtol, strict=True)
    assert 0 < found.mask.sum() < found.mask.size
    assert set(found.seconds) == {"preprocess", "networks", "postprocess"}
    assert all(spent >= 0 for spent in found.seconds.values())


@pytest.fixture
def network(workspace: Workspace) -> SmallNetwork:
    return SmallNetwork(workspace, GRID)


@pytest.fixture
def engine(network: SmallNetwork) -> CudaEngine:
    return CudaEngine(network, network.workspace)


@pytest.mark.parametrize("seed", range(6))
def test_one_engine_takes_case_after_case(make_workspace: MakeWorkspace, make_case: MakeCase, seed: int):
    """Of other sizes, types, grids and lengths, each several times in a row, so that its graphs run too."""
    workspace = make_workspace(seed, backwards=seed % 2 == 1)
    network = SmallNetwork(workspace, GRID, most_slices=4)
    engine = CudaEngine(network, workspace)
    assert isinstance(engine, CaseEngine)
    for shape, frames, dtype in [
        ((2, *GRID), 9, np.int16),
        ((9, *GRID), 17, np.float32),
        ((3, 11, 7), 5, np.float32),
        ((1, *GRID), 12, np.int16),
    ]:
        for i in range(3):
            case = make_case(shape, frames, dtype, seed=10 * seed + i)
            found = engine.run_case(case, CONFIG)
            assert_as_on_the_host(found, case, rtol=0.0 if shape[1:] == GRID else 1e-6)
            assert found.findings == ()
    assert network.replays > 0
    assert found.engine == engine.info == dataclasses.replace(network.info, cuda_graph="active")


def test_another_configuration_is_another_preprocessing(engine: CudaEngine, make_case: MakeCase):
    case = make_case((2, *GRID), 12)
    wide = dataclasses.replace(CONFIG, cta_window=(-50.0, 400.0))
    for config in (CONFIG, wide):
        expected = run_reference_path(HostTwin(), case, config)
        assert_array_equal(engine.run_case(case, config).probability, expected.probability)


def test_slices_from_the_host_give_what_the_engine_of_the_host_gives(engine: CudaEngine, make_case: MakeCase):
    for slices in (11, 11, 11, 3):
        batch = preprocess(make_case((slices, *GRID), 9, seed=slices), CONFIG)[0]
        found, expected = engine.run(batch), HostTwin().run(batch)
        assert_array_equal(found.probability, expected.probability)
        assert_array_equal(found.pseudo_dwi, expected.pseudo_dwi)
        assert_array_equal(found.extractor, expected.extractor)
    before = found.probability.copy()
    engine.run(preprocess(make_case((3, *GRID), 9, seed=99), CONFIG)[0])
    assert_array_equal(found.probability, before)  # it is the caller's


def test_slices_of_another_shape_are_refused(engine: CudaEngine, make_case: MakeCase):
    batch = preprocess(make_case((2, *GRID), 9), CONFIG)[0]
    with pytest.raises(InputError, match=r"takes features of shape \(5, 8, 12\), not \(4, 8, 12\)"):
        engine.run(dataclasses.replace(batch, features=batch.features[:, :4]))
    assert_array_equal(engine.run(batch).probability, HostTwin().run(batch).probability)


@pytest.mark.parametrize(
    ("slices", "most", "batches"),
    [(1, 8, [1]), (8, 8, [8]), (9, 8, [5, 4]), (22, 8, [8, 7, 7]), (16, 5, [4, 4, 4, 4]), (3, 1, [1, 1, 1])],
)
def test_batches_are_few_and_even(
    network: SmallNetwork, make_case: MakeCase, slices: int, most: int, batches: Sequence[int]
):
    network.most_slices = most
    engine = CudaEngine(network, network.workspace)
    case = make_case((slices, *GRID), 5)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert network.batches == batches


def test_a_case_that_is_refused_leaves_nothing_behind(engine: CudaEngine, make_case: MakeCase):
    good = make_case((3, *GRID), 9)
    series = good.series.copy()
    series[4, 1, 2, 3] = np.nan
    with pytest.raises(InputError, match="Frame 4 of the series of made holds NaN"):
        engine.run_case(dataclasses.replace(good, series=series), CONFIG)
    with pytest.raises(InputError, match="convert it to int16 or float32"):
        engine.run_case(dataclasses.replace(good, series=good.series.astype(np.float64)), CONFIG)
    assert_as_on_the_host(engine.run_case(good, CONFIG), good)


@pytest.mark.parametrize("seed", range(6))
def test_work_that_fails_does_not_meet_the_next_case(make_workspace: MakeWorkspace, make_case: MakeCase, seed: int):
    """Of two batches both fail, the second when the first has been said."""
    workspace = make_workspace(seed)
    network = SmallNetwork(workspace, GRID, most_slices=3, replay="none")
    engine = CudaEngine(network, workspace)
    network.fault = BackendError("planted")
    with pytest.raises(BackendError, match="planted"):
        engine.run_case(make_case((6, *GRID), 9), CONFIG)
    network.fault = None
    case = make_case((4, *GRID), 12, seed=seed)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)


# ---- Memory ----------------------------------------------------------------------------------------------------------


def test_batches_are_halved_until_they_fit_and_stay_so(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    network.fits = 3
    case = make_case((10, *GRID), 5)
    found = engine.run_case(case, CONFIG)
    assert_as_on_the_host(found, case)
    assert network.batches == [5, 2, 2, 2, 2, 2]
    sentence = "The device has not enough memory for 5 slices at once: from this case on, at most 2 go at once."
    assert found.findings == (Finding("batches-halved", "note", sentence),)
    network.batches.clear()
    case = make_case((3, *GRID), 5)
    found = engine.run_case(case, CONFIG)
    assert_as_on_the_host(found, case)
    assert network.batches == [2, 1]
    assert found.findings == ()


def test_a_batch_that_fails_in_the_middle_of_a_case_goes_on_from_there(workspace: Workspace, make_case: MakeCase):
    class Filling(SmallNetwork):
        """Its memory shrinks behind the first batch."""

        def run(self, inputs, outputs):  # noqa: ANN001
            super().run(inputs, outputs)
            self.fits = 4

    network = Filling(workspace, GRID, replay="none")
    engine = CudaEngine(network, workspace)
    case = make_case((22, *GRID), 5)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert network.batches == [8, 7, 3, 3, 3, 3, 2]


def test_memory_for_not_even_one_slice_is_said_so_and_not_remembered(
    engine: CudaEngine, network: SmallNetwork, make_case: MakeCase
):
    network.fits = 0
    case = make_case((6, *GRID), 5)
    with pytest.raises(OutOfMemoryError, match=r"not even for one slice at a time: close other programs"):
        engine.run_case(case, CONFIG)
    network.fits = 1000
    network.batches.clear()
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert network.batches == [6]


def test_memory_that_suffices_for_no_case_is_the_devices_error(host_library: Path, make_case: MakeCase):
    class Full(HostDevice):
        def allocate(self, nbytes: int):
            if nbytes > 10_000:
                raise OutOfMemoryError(f"There is no memory for {nbytes} bytes: close other programs.")
            return super().allocate(nbytes)

    workspace = Workspace(Full(host_library))
    engine = CudaEngine(SmallNetwork(workspace, GRID), workspace)
    with pytest.raises(OutOfMemoryError, match="There is no memory for"):
        engine.run_case(make_case((6, *GRID), 5), CONFIG)


class CountingDevice(HostDevice):
    """Knows how much memory is in use, and how often more was asked for."""

    def __init__(self, library: Path) -> None:
        super().__init__(library, seed=4)
        self.in_use = 0
        self.asked = 0

    def allocate(self, nbytes: int):
        return self._counted(super().allocate(nbytes), nbytes)

    def pinned(self, nbytes: int):
        return self._counted(super().pinned(nbytes), nbytes)

    def _counted(self, memory, nbytes: int):  # noqa: ANN001
        def released() -> None:
            self.in_use -= nbytes

        self.in_use += nbytes
        self.asked += 1
        weakref.finalize(memory, released)
        return memory


def test_hundreds_of_cases_take_no_more_memory_than_the_largest(host_library: Path, make_case: MakeCase):
    workspace = Workspace(CountingDevice(host_library))
    network = SmallNetwork(workspace, GRID, most_slices=2)
    engine = CudaEngine(network, workspace)
    rng = np.random.default_rng(0)
    shapes = [(slices, height, 12) for slices in (1, 2, 3, 5) for height in (6, 8)]
    cases = [make_case(shape, frames, np.int16) for shape in shapes for frames in (3, 6)]
    for case in cases:
        engine.run_case(case, CONFIG)
    in_use, asked = workspace.device.in_use, workspace.device.asked
    alive = []
    for number, choice in enumerate(rng.integers(len(cases), size=300)):
        engine.run_case(cases[choice], CONFIG)
        if number in (100, 299):
            gc.collect()
            alive.append(len(gc.get_objects()))
    # what proofs of graphs compare may still have been missing
    assert workspace.device.in_use <= 1.2 * in_use
    assert workspace.device.asked <= asked + 12
    assert alive[1] <= alive[0] + 200
    assert network.captures < 60


# ---- NaN -------------------------------------------------------------------------------------------------------------


def test_nan_is_run_again_in_float32(network: SmallNetwork, make_case: MakeCase):
    opened = []
    network.added = np.nan
    engine = CudaEngine(network, network.workspace, in_float32=lambda: opened.append(HostTwin()) or opened[-1])
    assert opened == []
    for _ in range(2):
        case = make_case((3, *GRID), 9)
        found = engine.run_case(case, CONFIG)
        assert_as_on_the_host(found, case)
        assert found.engine.backend == "twin"
        sentence = (
            "In fp16 on host the networks returned NaN or infinity: this case was run again in fp32, by twin on host."
        )
        assert found.findings == (Finding("run-again-in-float32", "note", sentence),)
    assert len(opened) == 1
    network.added = 0.0
    found = engine.run_case(case, CONFIG)
    assert_as_on_the_host(found, case)
    assert found.engine.backend == "small"
    assert found.findings == ()


def missing() -> HostTwin:
    raise MissingPackageError("onnxruntime", "cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("in_float32", "message"),
    [
        (None, "no mask is written"),
        (lambda: HostTwin(np.nan), "no mask is written"),
        (missing, r"no mask is written.* It cannot be run again in float32: .*install ctpdeploy with its extra cpu"),
    ],
    ids=["no engine", "NaN again", "no package"],
)
def test_nan_is_never_a_mask(
    network: SmallNetwork, make_case: MakeCase, in_float32: object, message: str, value: float
):
    network.added = value
    engine = CudaEngine(network, network.workspace, in_float32=in_float32)
    case = make_case((3, *GRID), 9)
    with pytest.raises(GuardError, match=f"The probability of made holds NaN or infinity: {message}"):
        engine.run_case(case, CONFIG)
    network.added = 0.0
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)


# ---- CUDA graphs -----------------------------------------------------------------------------------------------------


def test_a_batch_runs_twice_before_its_graph_does(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    ran = []
    for i in range(4):
        case = make_case((10, *GRID), 9, seed=i)
        assert_as_on_the_host(engine.run_case(case, CONFIG), case)
        ran.append((len(network.batches), network.captures, network.replays, engine.info.cuda_graph))
    assert ran == [(2, 2, 0, "pending"), (4, 2, 2, "active"), (4, 2, 4, "active"), (4, 2, 6, "active")]


def test_a_network_without_graphs_runs_as_it_is(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    network.replay = "none"
    for i in range(3):
        case = make_case((3, *GRID), 9, seed=i)
        found = engine.run_case(case, CONFIG)
        assert_as_on_the_host(found, case)
        assert found.findings == ()
        assert found.engine.cuda_graph == "pending"
    assert network.batches == [3, 3, 3]
    assert network.captures == 1


@pytest.mark.parametrize("wrong", ["frozen", "silent", "off"])
@pytest.mark.parametrize("seed", range(3))
def test_a_graph_that_does_something_else_is_never_used(
    make_workspace: MakeWorkspace, make_case: MakeCase, wrong: str, seed: int
):
    workspace = make_workspace(seed)
    network = SmallNetwork(workspace, GRID, most_slices=2, replay=wrong)
    engine = CudaEngine(network, workspace)
    codes = []
    for i in range(4):
        case = make_case((5, *GRID), 9, seed=i)
        found = engine.run_case(case, CONFIG)
        assert_as_on_the_host(found, case)
        codes.append([finding.code for finding in found.findings])
    assert codes == [[], ["graphs-disabled"], [], []]
    assert network.replays == 1
    assert found.engine.cuda_graph == engine.info.cuda_graph == "disabled"


def test_nan_does_not_prove_a_graph_that_does_nothing(network: SmallNetwork, make_case: MakeCase):
    network.replay, network.added = "silent", np.nan
    engine = CudaEngine(network, network.workspace)
    for i in range(3):
        with pytest.raises(GuardError):
            engine.run_case(make_case((3, *GRID), 9, seed=i), CONFIG)
    network.added = 0.0
    case = make_case((3, *GRID), 9, seed=4)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert engine.info.cuda_graph == "disabled"


def test_graphs_of_memory_that_was_replaced_are_dropped(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    small, large = make_case((2, *GRID), 9), make_case((5, *GRID), 9)
    for case in (small, small, small, large, small, small, small):
        assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert not network.graphs_alive[0]
    assert network.graphs_alive[-1]
    assert engine.info.cuda_graph == "active"


def test_graphs_are_dropped_where_memory_ends(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    case = make_case((4, *GRID), 9)
    engine.run_case(case, CONFIG)
    assert network.graphs_alive == [True]
    network.fits = 2
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert not network.graphs_alive[0]


def arrays_of(network: SmallNetwork, slices: int) -> tuple[dict[str, DeviceArray], dict[str, DeviceArray]]:
    """Inputs with numbers in them, and outputs."""
    rng = np.random.default_rng(0)
    inputs = {
        name: network.workspace.sent(name, rng.random((slices, *shape), dtype=np.float32))
        for name, shape in network.inputs.items()
    }
    outputs = {
        name: network.workspace.array(f"{name} out", (slices, *shape), np.float32)
        for name, shape in network.outputs.items()
    }
    return inputs, outputs


def rows(arrays: dict[str, DeviceArray], start: int, stop: int) -> dict[str, DeviceArray]:
    return {name: array.rows(start, stop) for name, array in arrays.items()}


def test_a_graph_is_of_its_shape_too(network: SmallNetwork):
    """Three slices at an address are not five there."""
    inputs, outputs = arrays_of(network, 5)
    replays = Replays(network, network.workspace)
    for slices in (3, 3, 3, 5, 5, 5):
        replays.run(rows(inputs, 0, slices), rows(outputs, 0, slices))
    assert (network.batches, network.captures, network.replays) == ([3, 3, 5, 5], 2, 4)


def test_the_graph_unused_for_longest_makes_room(network: SmallNetwork):
    inputs, outputs = arrays_of(network, MOST_GRAPHS + 1)
    replays = Replays(network, network.workspace)

    def run(number: int) -> int:
        replays.run(rows(inputs, number, number + 1), rows(outputs, number, number + 1))
        return network.captures

    for number in range(MOST_GRAPHS):
        run(number)
    assert run(0) == MOST_GRAPHS
    assert run(MOST_GRAPHS) == MOST_GRAPHS + 1
    assert run(0) == MOST_GRAPHS + 1
    assert run(1) == MOST_GRAPHS + 2


def test_a_case_with_more_batches_than_graphs_is_right(network: SmallNetwork, make_case: MakeCase):
    network.most_slices = 1
    engine = CudaEngine(network, network.workspace)
    case = make_case((MOST_GRAPHS + 3, 4, 6), 5)
    config = PreprocessConfig(slice_shape=GRID)
    expected = run_reference_path(HostTwin(), case, config).probability
    for _ in range(2):
        assert_allclose(engine.run_case(case, config).probability, expected, rtol=1e-6)
    assert network.captures == 2 * (MOST_GRAPHS + 3)
    assert network.replays == 0


# ---- Order and threads -----------------------------------------------------------------------------------------------


def test_work_in_the_wrong_stream_shows(host_library: Path, make_case: MakeCase):
    """A network that does not wait for its input is right where chance is kind; one in the right stream, always."""
    case = make_case((3, *GRID), 9)
    expected = run_reference_path(HostTwin(), case, CONFIG).probability

    def right(seed: int, *, astray: bool) -> bool:
        workspace = Workspace(HostDevice(host_library, seed=seed))
        stream = workspace.device.stream() if astray else None
        engine = CudaEngine(SmallNetwork(workspace, GRID, stream=stream, replay="none"), workspace)
        try:
            return np.array_equal(engine.run_case(case, CONFIG).probability, expected)
        except GuardError:
            return False

    assert all(right(seed, astray=False) for seed in range(12))
    assert 0 < sum(right(seed, astray=True) for seed in range(12)) < 12


class LoggingDevice(HostDevice):
    """Notes what is queued and when the host waits."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self.log: list[str] = []

    def launch(self, kernel: str, *arguments: object, **options: object):
        self.log.append(kernel)
        super().launch(kernel, *arguments, **options)

    def call(self, *arguments: object):
        self.log.append("networks")
        super().call(*arguments)

    def synchronise(self, event=None):  # noqa: ANN001
        self.log.append("the host waits")
        super().synchronise(event)


def test_the_host_waits_when_everything_is_queued(host_library: Path, make_case: MakeCase):
    """From the scaling to the mask: the device has work all the time."""
    device = LoggingDevice(host_library)
    workspace = Workspace(device)
    engine = CudaEngine(SmallNetwork(workspace, GRID, most_slices=2, replay="none"), workspace)
    engine.run_case(make_case((5, *GRID), 9), CONFIG)
    queued = device.log[device.log.index("scale_float") :]
    assert queued == [
        *["scale_float"] * 3,
        *["networks"] * 3,
        *["flag_nonfinite"] * 2,
        "mask_above",
        "the host waits",
        "the host waits",
    ]


def test_another_thread_is_refused(engine: CudaEngine, make_case: MakeCase):
    case = make_case((2, *GRID), 9)
    refused: list[str] = []

    def use() -> None:
        for call in (
            lambda: engine.run_case(case, CONFIG),
            lambda: engine.run(preprocess(case, CONFIG)[0]),
        ):
            try:
                call()
            except BackendError as error:
                refused.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(refused) == 2
    assert all("opened in another thread" in message for message in refused)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)


def test_slices_of_another_type_are_refused(engine: CudaEngine, network: SmallNetwork):
    frames, features = (np.zeros((2, n, *GRID)) for n in (6, 5))
    with pytest.raises(InputError, match="takes frames in float32, not float64"):
        engine.run(SliceBatch(frames=frames, features=features.astype(np.float32)))
    assert network.batches == []


# ---- Closing ---------------------------------------------------------------------------------------------------------


def test_a_closed_engine_has_given_all_back(host_library: Path, make_case: MakeCase):
    workspace, twin = Workspace(CountingDevice(host_library)), HostTwin()
    network = SmallNetwork(workspace, GRID, most_slices=2)
    case = make_case((5, *GRID), 9)
    with CudaEngine(network, workspace, in_float32=lambda: twin) as engine:
        for added in (0.0, 0.0, np.nan):
            network.added = added
            found = engine.run_case(case, CONFIG)
        info = engine.info
        assert workspace.device.in_use > 0
        assert any(network.graphs_alive)
    assert found.engine.backend == "twin"
    assert not any(network.graphs_alive)
    assert workspace.device.in_use == 0
    engine.close()
    assert (network.closes, twin.closes) == (1, 1)
    assert engine.info == info
    assert info.cuda_graph == "active"
    for run in (lambda: engine.run_case(case, CONFIG), lambda: engine.run(preprocess(case, CONFIG))):
        with pytest.raises(BackendError, match="The engine of small is closed: open another one"):
            run()


def test_a_lost_device_gives_nothing_back_and_raises_nothing(
    network: SmallNetwork, make_case: MakeCase, monkeypatch: pytest.MonkeyPatch
):
    def lost(_: object = None) -> None:
        raise BackendError("The GPU is lost to this process: start again.")

    engine = CudaEngine(network, network.workspace)
    engine.run_case(make_case((3, *GRID), 9), CONFIG)
    monkeypatch.setattr(network.device, "synchronise", lost)
    engine.close()
    assert network.closes == 0
    with pytest.raises(BackendError, match="is closed"):
        engine.run_case(make_case((3, *GRID), 9), CONFIG)


def test_another_thread_closes_nothing(engine: CudaEngine, network: SmallNetwork, make_case: MakeCase):
    with ThreadPoolExecutor(1) as pool, pytest.raises(BackendError, match="opened in another thread"):
        pool.submit(engine.close).result()
    case = make_case((3, *GRID), 9)
    assert_as_on_the_host(engine.run_case(case, CONFIG), case)
    assert network.closes == 0
