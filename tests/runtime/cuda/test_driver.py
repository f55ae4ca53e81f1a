import ctypes
from types import SimpleNamespace

import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.cuda.driver import Driver, Gpu, probe

CAPABILITIES = {75: (8, 12), 76: (9, 0)}  # major and minor of each GPU, by attribute


def function(name: str, value, status: int = 0):  # noqa: ANN001
    """A function of the driver that writes an integer where its first argument points."""

    def call(*arguments: object) -> int:
        if status == 0 and value is not None:
            arguments[0]._obj.value = value(*(argument.value for argument in arguments[1:]))
        return status

    call.__name__ = name
    return call


def library(*, init: int = 0, gpus: int = 2) -> SimpleNamespace:
    """A libcuda with some GPUs."""

    def name(buffer: ctypes.Array, length: ctypes.c_int, device: ctypes.c_int) -> int:
        assert length.value == len(buffer)
        buffer.value = (b"Quadro A", b"RTX B")[device.value - 40]
        return 0

    return SimpleNamespace(
        cuInit=function("cuInit", None, status=init),
        cuDriverGetVersion=function("cuDriverGetVersion", lambda: 13010),
        cuDeviceGetCount=function("cuDeviceGetCount", lambda: gpus),
        cuDeviceGet=function("cuDeviceGet", lambda index: index + 40),
        cuDeviceGetName=name,
        cuDeviceGetAttribute=function("cuDeviceGetAttribute", lambda what, device: CAPABILITIES[what][device - 40]),
    )


def test_gpus_are_read_from_the_driver(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library())
    gpus = (
        Gpu(name="Quadro A", compute_capability="8.9", memory=8 << 30),
        Gpu(name="RTX B", compute_capability="12.0", memory=24 << 30),
    )
    assert probe() == Driver(cuda="13.1", gpus=gpus)


@pytest.mark.parametrize(
    ("driver", "message"),
    [(library(init=803), r"cuInit returned 803.*nvidia-smi"), (library(gpus=0), r"sees no GPU.*CUDA_VISIBLE_DEVICES")],
)
def test_a_driver_that_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, driver: object, message: str):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    with pytest.raises(BackendError, match=message):
        probe()


def test_no_driver_is_said_so(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(BackendError, match=r"no NVIDIA driver \(libcuda.*install it"):
        probe()
