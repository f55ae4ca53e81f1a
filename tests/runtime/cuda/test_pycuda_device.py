"""The calls to PyCUDA, answered by the kernels on the CPU.

The stand-in below has the classes, functions and argument names of PyCUDA 2026.1 (``src/wrapper/wrap_cudadrv.cpp``,
``pycuda/driver.py``) and packs arguments as its ``_build_arg_buf`` does: NumPy numbers alone.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.errors import BackendError, MissingPackageError
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.cuda import CudaPreprocessor, PycudaDevice, Workspace
from ctpdeploy.runtime.cuda import pycuda_device as module
from ctpdeploy.runtime.cuda.device import THREADS, DeviceArray
from ctpdeploy.runtime.cuda.fatbin import FATBIN
from ctpdeploy.runtime.cuda.host_device import HostDevice
from ctpdeploy.runtime.preprocess import PreprocessConfig, preprocess


class Driver(ModuleType):
    """``pycuda.driver`` around the host device."""

    class Error(Exception):
        pass

    def __init__(self, host: HostDevice) -> None:
        super().__init__("pycuda.driver")
        self.host = host
        self.called: list[str] = []
        driver = self

        class Context:
            def push(self) -> None:
                driver.called.append("push")

            def detach(self) -> None:
                driver.called.append("detach")

            @staticmethod
            def synchronize() -> None:
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
        self.mem_alloc = host.allocate
        self.pagelocked_empty = lambda shape, dtype: host.pinned(shape).view(dtype)
        self.memcpy_htod_async = lambda dest, src, stream: host.upload(bytes_at(dest, src), src, stream.queue)
        self.memcpy_dtoh_async = lambda dest, src, stream: host.download(dest, bytes_at(src, dest), stream.queue)


@pytest.fixture
def driver(host_library: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    package, driver = ModuleType("pycuda"), Driver(HostDevice(host_library, seed=5))
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.setattr(
        module.atexit, "register", lambda function: driver.called.append(f"at exit: {function.__name__}")
    )
    return driver


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_preprocessing_is_the_references(driver: Driver, make_case: Callable[..., Case], dtype: type):
    case, config = make_case((2, 16, 24), 20, dtype), PreprocessConfig(slice_shape=(16, 24))
    preprocessor = CudaPreprocessor(Workspace(PycudaDevice()), config)
    for _ in range(2):
        fast, slow = preprocessor.fetch(preprocessor.run(case)), preprocess(case, config)
        assert_array_equal(fast.frames, slow.frames)
        assert_array_equal(fast.features, slow.features)
    assert driver.called[:4] == ["init", "push", "at exit: detach", f"{FATBIN.stat().st_size} bytes"]
    assert len(driver.called[4:]) == len(set(driver.called[4:]))  # each function is looked up once


def test_what_the_driver_refuses_is_said_in_a_sentence(driver: Driver):
    with pytest.raises(BackendError, match=r"refuses to start \(cuDeviceGet failed: invalid device ordinal\): see"):
        PycudaDevice(3)

    def full(_: int) -> None:
        raise driver.Error("cuMemAlloc failed: out of memory")

    device = PycudaDevice()
    driver.mem_alloc = full
    with pytest.raises(BackendError, match=r"refuses 4000 bytes of memory \(cuMemAlloc failed: out of memory\)"):
        Workspace(device).array("numbers", (1000,), np.float32)


def test_without_pycuda_the_message_ends_in_the_pip_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'ctpdeploy\[cuda\]'"):
        PycudaDevice()


def test_without_a_driver_that_is_said(monkeypatch: pytest.MonkeyPatch):
    def missing(_: str) -> ModuleType:
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(module, "require", lambda _, extra: extra)
    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(BackendError, match=r"PyCUDA finds no NVIDIA driver \(libcuda.*\): install it"):
        PycudaDevice()
