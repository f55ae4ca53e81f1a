"""The stand-in must notice what a GPU would punish: these faults are planted."""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.emulator import device as module
from ctpdeploy.emulator.device import HostDevice, host_view
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda import DeviceArray, Workspace

FAULTY_KERNELS = r"""
#include "shim.h"

// The first thread of each warp writes, all read.
static void shared_sum(int* result, bool with_barrier) {
    __shared__ int parts[8];
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = 1 + blockIdx.x;
    if (with_barrier) __syncthreads();
    int sum = 0;
    for (int i = 0; i < 8; ++i) sum += parts[i];
    result[blockIdx.x * 256 + threadIdx.x] = sum;
    __syncthreads();
}
static void with_barrier(int* result) { shared_sum(result, true); }
static void without_barrier(int* result) { shared_sum(result, false); }
static void some_at_the_barrier(int*) { if (threadIdx.x < 64) __syncthreads(); }
static void some_lanes_shuffle(int* result) { if (threadIdx.x % 32 < 16) *result = __shfl_xor_sync(~0u, 1, 1); }
static void reversed_lanes(int* result) {
    result[blockIdx.x * 256 + threadIdx.x] = __shfl_xor_sync(~0u, int(threadIdx.x), 31);
}

extern "C" const char* run(int number, int* result, int backwards) {
    void (*kernels[])(int*) = {with_barrier, without_barrier, some_at_the_barrier, some_lanes_shuffle, reversed_lanes};
    shim::backwards = backwards;
    shim::kernel = [=] { kernels[number](result); };
    return shim::run_grid({2, 1, 1}, {256, 1, 1}, 0);
}
"""


@pytest.fixture(scope="module")
def faulty(host_library: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, bool], object]:
    """Runs one of the kernels above: its result, or what the shim says."""
    del host_library  # where there is no g++, it says so
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.cpp").write_text(FAULTY_KERNELS)
    shim = Path(module.__file__).with_name("host")
    options = ["-std=c++20", "-O1", "-fPIC", "-shared"]
    subprocess.run(["g++", *options, f"-I{shim}", "-o", "faulty.so", "faulty.cpp"], cwd=folder, check=True)
    library = ctypes.PyDLL(str(folder / "faulty.so"))
    library.run.restype = ctypes.c_char_p

    def run(number: int, backwards: bool) -> object:
        result = np.zeros((2, 256), dtype=np.int32)
        fault = library.run(number, ctypes.c_void_p(result.ctypes.data), backwards)
        return result if fault is None else fault.decode()

    return run


@pytest.mark.parametrize("backwards", [False, True])
def test_barriers_and_shuffles_do_what_cuda_says(faulty: Callable[[int, bool], object], backwards: bool):
    np.testing.assert_array_equal(faulty(0, backwards), [[8] * 256, [16] * 256])
    lanes = np.arange(256)
    np.testing.assert_array_equal(faulty(4, backwards), [lanes ^ 31] * 2)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_forgotten_barrier_changes_the_result(faulty: Callable[[int, bool], object], backwards: bool):
    assert (faulty(1, backwards) != faulty(0, backwards)).any()


@pytest.mark.parametrize("number", [2, 3])
def test_threads_that_part_at_a_barrier_or_shuffle_are_an_error(faulty: Callable[[int, bool], object], number: int):
    assert faulty(number, False) == "not all threads reach the same barrier or shuffle"
    np.testing.assert_array_equal(faulty(0, False), [[8] * 256, [16] * 256])  # and the next launch is whole


def test_arguments_must_be_of_the_declared_types(workspace: Workspace):
    numbers = workspace.array("numbers", (8,), np.float32)
    mask = workspace.array("mask", (8,), np.uint8)
    with pytest.raises(BackendError, match=r"mask_above takes b'PqfP', not 'PifP'"):
        workspace.launch("mask_above", (1, 1, 1), (numbers, np.int32(8), np.float32(0.5), mask))
    with pytest.raises(BackendError, match=r"no_such_kernel takes None"):
        workspace.launch("no_such_kernel", (1, 1, 1), (numbers,))


@pytest.mark.parametrize(
    ("grid", "shared", "what"),
    [((0, 1, 1), 0, "grid is empty"), ((1, 65536, 1), 0, "grid is too large"), ((1, 1, 1), 50_000, "blocks are too l")],
)
def test_impossible_launches_are_refused(workspace: Workspace, grid: tuple[int, int, int], shared: int, what: str):
    numbers, mask = workspace.array("numbers", (8,), np.float32), workspace.array("mask", (8,), np.uint8)

    def launch() -> None:  # the fault is raised here or by the end
        arguments = (numbers, np.int64(8), np.float32(0.5), mask)
        workspace.launch("mask_above", grid, arguments, shared_bytes=shared)
        workspace.finish()

    with pytest.raises(BackendError, match=f"mask_above cannot run: its {what}"):
        launch()


def test_copies_of_the_wrong_size_are_refused(workspace: Workspace):
    with pytest.raises(BackendError, match="A copy of 32 bytes is given 28 on the host"):
        workspace.device.upload(
            workspace.array("numbers", (8,), np.float32), np.zeros(7, dtype=np.float32), workspace.copies
        )


def test_streams_are_ordered_by_events_alone(host_library: Path):
    """A kernel that waits for its upload sees it; one that does not, only where chance was kind."""

    def seen(seed: int, *, wait: bool) -> bool:
        workspace = Workspace(HostDevice(host_library, seed=seed))
        numbers, mask = workspace.array("numbers", (64,), np.float32), workspace.array("mask", (64,), np.uint8)
        workspace.device.upload(numbers, np.ones(64, dtype=np.float32), workspace.copies)
        if wait:
            workspace.device.wait(workspace.kernels, workspace.device.record(workspace.copies))
        workspace.launch("mask_above", (1, 1, 1), (numbers, np.int64(64), np.float32(0.5), mask))
        found = workspace.fetched("mask", mask)
        workspace.finish()
        return bool(found.all())

    assert all(seen(seed, wait=True) for seed in range(12))
    assert 0 < sum(seen(seed, wait=False) for seed in range(12)) < 12


def test_memory_grows_and_is_kept(workspace: Workspace):
    first = workspace.array("numbers", (100,), np.float32)
    assert workspace.array("numbers", (50,), np.float64).address == first.address
    assert workspace.array("numbers", (5, 101), np.float32).nbytes == 2020
    assert first.rows(10, 20).address == first.address + 40


@pytest.mark.parametrize("seed", range(9))
def test_memory_is_replaced_after_the_work_that_uses_it(make_workspace: Callable[..., Workspace], seed: int):
    workspace = make_workspace(seed)
    numbers, mask = workspace.sent("numbers", np.ones(64, dtype=np.float32)), workspace.array("mask", (64,), np.uint8)
    workspace.launch("mask_above", (1, 1, 1), (numbers, np.int64(64), np.float32(0.5), mask))
    found = workspace.fetched("mask", mask)
    workspace.array("numbers", (65,), np.float32)
    workspace.finish()
    assert found.all()


def test_a_library_that_is_none_is_refused(tmp_path: Path):
    (tmp_path / "kernels.so").write_bytes(b"not a library")
    with pytest.raises(BackendError, match=r"kernels\.so cannot be loaded .*: build them again"):
        HostDevice(tmp_path / "kernels.so")


def square(workspace: Workspace, numbers: DeviceArray) -> None:
    """Queue that numbers are squared, by the host."""
    workspace.device.call(workspace.kernels, lambda: np.square(host_view(numbers), out=host_view(numbers)))


@pytest.mark.parametrize("seed", range(9))
def test_what_is_captured_runs_when_it_is_replayed_in_its_place(make_workspace: Callable[..., Workspace], seed: int):
    workspace = make_workspace(seed)
    numbers, mask = workspace.sent("numbers", np.full(64, 0.8, np.float32)), workspace.array("mask", (64,), np.uint8)

    def work() -> None:
        square(workspace, numbers)
        workspace.launch("mask_above", (1, 1, 1), (numbers, np.int64(64), np.float32(0.5), mask))

    replay = workspace.device.capture(workspace.kernels, work)
    before = workspace.fetched("numbers before", numbers)
    found = []
    for turn in range(2):  # 0.64 is above one half, its square is not
        replay()
        found.append(workspace.fetched(f"mask {turn}", mask))
    after = workspace.fetched("numbers after", numbers)
    workspace.finish()
    np.testing.assert_array_equal(before, np.float32(0.8))
    np.testing.assert_allclose(after, 0.8**4, rtol=1e-6)
    assert [mask.all() for mask in found] == [True, False]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda workspace: workspace.finish(),
        lambda workspace: workspace.device.allocate(4),
        lambda workspace: workspace.device.pinned(4),
        lambda workspace: workspace.device.call(workspace.copies, lambda: None),
        lambda workspace: workspace.device.capture(workspace.kernels, lambda: None),
    ],
    ids=["waiting", "allocating", "locking", "another stream", "another capture"],
)
def test_what_spoils_a_capture_makes_no_graph(workspace: Workspace, spoil: Callable[[Workspace], object]):
    numbers = workspace.sent("numbers", np.full(8, 3, np.float32))

    def work() -> None:
        square(workspace, numbers)
        spoil(workspace)

    assert workspace.device.capture(workspace.kernels, work) is None
    square(workspace, numbers)  # and the device works on
    found = workspace.fetched("numbers", numbers)
    workspace.finish()
    np.testing.assert_array_equal(found, 9)


def test_what_the_work_of_a_capture_raises_is_raised(workspace: Workspace):
    with pytest.raises(BackendError, match="no_such_kernel"):
        workspace.device.capture(workspace.kernels, lambda: workspace.launch("no_such_kernel", (1, 1, 1), ()))
    workspace.finish()
