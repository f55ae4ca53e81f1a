import ctypes
from types import SimpleNamespace

import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu, free_memory, leave_capture, probe

CAPABILITIES = {75: (8, 12), 76: (9, 0)}  # major and minor of each GPU, by attribute
GIB = 1 << 30


def function(name: str, value, status: int = 0):  # noqa: ANN001
    """A function of the driver that writes a number where its first argument points."""

    def call(*arguments: object) -> int:
        if status == 0 and value is not None:
            arguments[0]._obj.value = value(*(argument.value for argument in arguments[1:]))
        return status

    call.__name__ = name
    return call


def library(*, init: int = 0, gpus: int = 2, management: int = 0) -> SimpleNamespace:
    """A libcuda with some GPUs, and the management library in one."""

    def name(buffer: ctypes.Array, length: ctypes.c_int, device: ctypes.c_int) -> int:
        assert length.value == len(buffer)
        buffer.value = (b"Quadro A", b"RTX B")[device.value - 40]
        return 0

    def release(buffer: ctypes.Array, length: ctypes.c_uint) -> int:
        assert length.value == len(buffer)
        buffer.value = b"580.65.06"
        return 0

    def free_and_total(free: object, total: object) -> int:
        free._obj.value, total._obj.value = 3 * GIB, 8 * GIB
        return 0

    return SimpleNamespace(
        cuInit=function("cuInit", None, status=init),
        cuDriverGetVersion=function("cuDriverGetVersion", lambda: 13010),
        cuDeviceGetCount=function("cuDeviceGetCount", lambda: gpus),
        cuDeviceGet=function("cuDeviceGet", lambda index: index + 40),
        cuDeviceGetName=name,
        cuDeviceGetAttribute=function("cuDeviceGetAttribute", lambda what, device: CAPABILITIES[what][device - 40]),
        cuDeviceTotalMem_v2=function("cuDeviceTotalMem_v2", lambda device: (device - 39) * 8 * GIB),
        cuMemGetInfo_v2=free_and_total,
        nvmlInit_v2=lambda: management,
        nvmlSystemGetDriverVersion=release,
        nvmlShutdown=lambda: 0,
    )


GPUS = (
    Gpu(name="Quadro A", compute_capability="8.9", memory=8 * GIB),
    Gpu(name="RTX B", compute_capability="12.0", memory=16 * GIB),
)


def test_gpus_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library())
    assert probe() == Driver(cuda="13.1", gpus=GPUS, release="580.65.06")


def test_the_management_library_may_be_missing_or_refuse(monkeypatch: pytest.MonkeyPatch):
    def only_cuda(name: str) -> SimpleNamespace:
        if "nv" in name and "nvcuda" not in name:
            raise OSError(f"{name}: cannot open shared object file")
        return library()

    monkeypatch.setattr(ctypes, "CDLL", only_cuda)
    assert probe() == Driver(cuda="13.1", gpus=GPUS)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library(management=9))
    assert probe().release is None


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (library(init=803), r"cuInit returned 803.*nvidia-smi"),
        (library(init=100), r"sees no GPU.*CUDA_VISIBLE_DEVICES"),
        (library(gpus=0), r"sees no GPU.*CUDA_VISIBLE_DEVICES"),
    ],
)
def test_a_driver_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, driver: object, message: str):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    with pytest.raises(BackendError, match=message):
        probe()


def test_no_driver_is_said_so(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    for ask in (probe, free_memory):
        with pytest.raises(BackendError, match=r"no NVIDIA driver \(libcuda.*install it"):
            ask()


def test_free_memory_is_that_of_the_context(monkeypatch: pytest.MonkeyPatch):
    driver = library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert free_memory() == 3 * GIB
    driver.cuMemGetInfo_v2 = function("cuMemGetInfo_v2", None, status=201)
    with pytest.raises(BackendError, match=r"cuMemGetInfo_v2 returned 201"):
        free_memory()


@pytest.mark.parametrize("captured", [None, 77])
def test_a_capture_that_was_left_open_is_ended(monkeypatch: pytest.MonkeyPatch, captured: int | None):
    called = []

    def end(stream: ctypes.c_void_p, graph: object) -> int:
        called.append(("end", stream.value))
        graph._obj.value = captured
        return 0 if captured else 901

    def destroy(graph: ctypes.c_void_p) -> None:
        called.append(("destroy", graph.value))

    driver = SimpleNamespace(cuStreamEndCapture=end, cuGraphDestroy=destroy)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    leave_capture(1234)
    assert called == [("end", 1234), *([("destroy", 77)] if captured else [])]
