"""The calls to PyCUDA, answered by the kernels on the CPU.

The stand-in below has the classes, functions and argument names of PyCUDA 2026.1 (``src/wrapper/wrap_cudadrv.cpp``,
``pycuda/driver.py``) and packs arguments as its ``_build_arg_buf`` does: NumPy numbers alone.
"""

import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.libcuda import Libcuda

from ctpdeploy.emulator.device import HostDevice
from ctpdeploy.errors import BackendError, MissingPackageError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda import CudaPreprocessor, PycudaDevice, Workspace, driver_graphs
from ctpdeploy.runtime.backends.cuda import pycuda_device as module
from ctpdeploy.runtime.backends.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.backends.cuda.fatbin import FATBIN
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess


class Driver(ModuleType):
    """``pycuda.driver`` around the host device."""

    class Error(Exception):
        pass

    class MemoryError(Error):
        pass

    def __init__(self, host: HostDevice) -> None:
        super().__init__("pycuda.driver")
        self.host = host
        self.called: list[str] = []
        self.fault: Driver.Error | None = None
        self.is_lost = self.entered = False
        self.at_exit: list[Callable[[], None]] = []
        driver = self

        class Context:
            def push(self) -> None:
                driver.called.append("push")
                driver.entered = True

            def detach(self) -> None:
                driver.called.append("detach")

            @staticmethod
            def synchronize() -> None:
                driver.fail_as_told()
                host.synchronise()

        class Device:
            def __init__(self, ordinal: int) -> None:
                if ordinal != 0:
                    raise driver.Error("cuDeviceGet failed: invalid device ordinal")

            def retain_primary_context(self) -> Context:
                return Context()

        class Stream:
            def __init__(self) -> None:
                self.queue = host.stream()
                self.handle = self.queue.handle

            def wait_for_event(self, event: object) -> None:
                host.wait(self.queue, event.point)

        class Event:
            def record(self, stream: Stream) -> object:
                self.point = host.record(stream.queue)
                return self

            def synchronize(self) -> object:
                host.synchronise(self.point)
                return self

        class Module:
            def get_function(self, name: str) -> Callable[..., None]:
                def function(*args: np.number, grid: tuple, block: tuple, stream: Stream, shared: int) -> None:
                    assert all(isinstance(value, np.number) for value in args)
                    assert block == (THREADS, 1, 1)
                    arguments = [pointer(value) if isinstance(value, np.uint64) else value for value in args]
                    host.launch(name, grid, arguments, stream.queue, shared_bytes=shared)

                driver.called.append(name)
                return function

        def pointer(address: np.uint64) -> DeviceArray:
            return DeviceArray(address=int(address), shape=(), dtype=np.dtype(np.uint8))

        def bytes_at(address: int, array: np.ndarray) -> DeviceArray:
            assert type(address) is int
            return DeviceArray(address=address, shape=array.shape, dtype=array.dtype)

        self.Device, self.Stream, self.Event = Device, Stream, Event
        self.init = lambda: self.called.append("init")
        self.module_from_buffer = lambda buffer: self.called.append(f"{len(buffer)} bytes") or Module()
        self.mem_alloc = lambda nbytes: self.fail_as_told() or host.allocate(nbytes)
        self.mem_get_info = self.fail_if_lost
        self.pagelocked_empty = lambda shape, dtype: host.pinned(shape).view(dtype)
        self.memcpy_htod_async = lambda dest, src, stream: host.upload(bytes_at(dest, src), src, stream.queue)
        self.memcpy_dtoh_async = lambda dest, src, stream: host.download(dest, bytes_at(src, dest), stream.queue)

    def fail_as_told(self) -> None:
        if self.fault is not None:
            raise self.fault

    def fail_if_lost(self) -> tuple[int, int]:
        self.called.append("mem_get_info")
        if self.is_lost or not self.entered:
            raise self.Error("cuMemGetInfo failed: an illegal memory access was encountered, or there is no context")
        return 1, 2


@pytest.fixture
def driver(host_library: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    package, driver = ModuleType("pycuda"), Driver(HostDevice(host_library, seed=5))
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.setattr(module.atexit, "register", driver.at_exit.append)
    return driver


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_preprocessing_is_the_references(driver: Driver, make_case: Callable[..., Case], dtype: type):
    case, config = make_case((2, 16, 24), 20, dtype), PreprocessConfig(slice_shape=(16, 24))
    preprocessor = CudaPreprocessor(Workspace(PycudaDevice()), config)
    for _ in range(2):
        fast, slow = preprocessor.fetch(preprocessor.run(case)), preprocess(case, config)[0]
        assert_array_equal(fast.frames, slow.frames)
        assert_array_equal(fast.features, slow.features)
    assert driver.called[:3] == ["init", "push", f"{FATBIN.stat().st_size} bytes"]
    assert len(driver.called[3:]) == len(set(driver.called[3:]))  # each function is looked up once


def test_what_the_driver_refuses_is_said_in_a_sentence(driver: Driver):
    with pytest.raises(BackendError, match=r"refuses to start \(cuDeviceGet failed: invalid device ordinal\): see"):
        PycudaDevice(3)
    device = PycudaDevice()
    driver.fault = driver.Error("cuMemAlloc failed: invalid argument")
    with pytest.raises(
        BackendError, match=r"refuses 4000 bytes of memory \(cuMemAlloc failed: invalid argument\): see"
    ):
        device.allocate(4000)
    driver.fault = None
    device.allocate(4000).free()


def test_memory_that_is_not_there_is_an_error_of_its_own(driver: Driver):
    device = PycudaDevice()
    driver.fault = driver.MemoryError("cuMemAlloc failed: out of memory")
    with pytest.raises(
        OutOfMemoryError, match=r"refuses 4000 bytes of memory \(cuMemAlloc failed: out of memory\): cl"
    ):
        Workspace(device).array("numbers", (1000,), np.float32)


def test_a_lost_gpu_is_said_so_at_once_from_then_on(driver: Driver, libcuda: Libcuda):
    device = PycudaDevice()
    workspace = Workspace(device)
    numbers = workspace.array("numbers", (8,), np.float32)
    driver.fault = driver.Error("cuCtxSynchronize failed: an illegal memory access was encountered")
    driver.is_lost = True
    lost = (
        r"^The GPU refuses to finish its work \(cuCtxSynchronize failed: an illegal memory access was encountered\) "
        r"and is lost to this process: start again\.$"
    )
    with pytest.raises(BackendError, match=lost):
        device.synchronise()
    driver.fault, driver.called = None, []
    for call in (
        lambda: device.allocate(4),
        lambda: device.pinned(4),
        device.stream,
        device.synchronise,
        lambda: device.upload(numbers, np.zeros(8, np.float32), workspace.copies),
        lambda: device.download(np.zeros(8, np.float32), numbers, workspace.copies),
        lambda: device.record(workspace.kernels),
        lambda: device.wait(workspace.kernels, None),
        lambda: device.launch("mask_above", (1, 1, 1), (), workspace.kernels),
        lambda: device.capture(workspace.kernels, lambda: None),
    ):
        with pytest.raises(BackendError, match=lost):
            call()
    assert driver.called == []
    assert libcuda.calls == []


def test_at_exit_graphs_go_first_and_the_context_is_left(driver: Driver, libcuda: Libcuda):
    device = PycudaDevice()
    replay = device.capture(device.stream(), lambda: None)
    (leave,) = driver.at_exit
    driver.called.clear()
    leave()
    assert libcuda.calls[-1] == "destroy"
    assert driver.called == ["detach"]
    del replay
    gc.collect()
    assert libcuda.calls.count("destroy") == 1


def test_a_gpu_is_opened_in_the_main_thread_only(driver: Driver):
    refused: list[BackendError] = []

    def use() -> None:
        try:
            PycudaDevice()
        except BackendError as error:
            refused.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "opened in the main thread only" in str(refused[0])
    assert driver.called == []


def test_graphs_are_captured_in_the_stream_and_launched_there(driver: Driver, libcuda: Libcuda):
    device = PycudaDevice()
    _, stream = device.stream(), device.stream()
    replay = device.capture(stream, lambda: driver.called.append("work"))
    assert driver.called[-1] == "work"
    assert libcuda.stream == stream.handle
    replay()
    assert libcuda.calls == ["begin", "end", "instantiate", "forget", "launch"]
    libcuda.fail("launch", 2)
    with pytest.raises(OutOfMemoryError, match=r"refuses a CUDA graph \(cuGraphLaunch returned 2\)"):
        replay()
    libcuda.fail("launch", 719)
    with pytest.raises(BackendError, match=r"refuses a CUDA graph \(cuGraphLaunch returned 719\): see"):
        replay()
    driver.is_lost = True
    with pytest.raises(BackendError, match=r"CUDA graph \(cuGraphLaunch returned 719\) and is lost to this process"):
        replay()


@pytest.mark.parametrize("is_lost", [False, True])
def test_work_that_a_capture_refuses_is_no_graph_unless_the_gpu_is_lost(
    driver: Driver, libcuda: Libcuda, is_lost: bool
):
    """The driver is asked when the capture is over: under it, it refuses many a question."""
    device = PycudaDevice()
    stream = device.stream()
    driver.called.clear()

    def work() -> None:
        driver.fault = driver.Error("cuMemAlloc failed: operation not permitted when stream is capturing")
        driver.is_lost = is_lost
        try:
            device.allocate(4)
        finally:
            assert driver.called == []

    if is_lost:
        with pytest.raises(BackendError, match="lost to this process"):
            device.capture(stream, work)
    else:
        assert device.capture(stream, work) is None
        driver.fault = None
        device.allocate(4)
    assert libcuda.calls == ["begin", "end", "forget"]


def test_without_graphs_in_the_driver_nothing_is_captured(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(driver_graphs, "LIBRARY", str(tmp_path / "none"))
    device = PycudaDevice()
    stream = device.stream()
    driver.called.clear()
    assert device.capture(stream, lambda: driver.called.append("work")) is None
    assert "work" not in driver.called


def test_without_pycuda_the_message_ends_in_the_pip_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra cuda"):
        PycudaDevice()


def test_without_a_driver_that_is_said(monkeypatch: pytest.MonkeyPatch):
    def missing(_: str) -> ModuleType:
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(module, "require", lambda _, extra: extra)
    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=r"PyCUDA finds no NVIDIA driver \(libcuda.*\): install it"):
        PycudaDevice()
