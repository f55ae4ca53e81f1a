import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from ctpdeploy.errors import BackendError, MissingPackageError, OutOfMemoryError
from ctpdeploy.runtime.backends.cuda import errors, requirements
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu
from ctpdeploy.runtime.backends.cuda.errors import failure
from ctpdeploy.runtime.backends.cuda.requirements import require_cuda, require_gpu

GPU = Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=20 << 30)
DRIVER = Driver(cuda="13.0", gpus=(GPU,), release="580.65.06")


@pytest.fixture(autouse=True)
def _pycuda(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda", ModuleType("pycuda"))
    monkeypatch.setitem(sys.modules, "pycuda.driver", ModuleType("pycuda.driver"))


def ask(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> Driver:
    monkeypatch.setattr(requirements, "probe", lambda: driver)
    return require_gpu(extra="gpu")


@pytest.mark.parametrize("capability", ["7.5", "8.0", "9.0", "10.0", "12.1"])
def test_a_gpu_that_fits_is_taken(monkeypatch: pytest.MonkeyPatch, capability: str):
    driver = replace(DRIVER, gpus=(replace(GPU, compute_capability=capability),))
    assert ask(monkeypatch, driver) is driver


@pytest.mark.parametrize("capability", ["7.0", "6.1"])
def test_a_gpu_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, capability: str):
    driver = replace(DRIVER, gpus=(replace(GPU, compute_capability=capability),))
    with pytest.raises(BackendError, match=rf"RTX 4000 Ada has compute capability {capability}.*7\.5 or a later one"):
        ask(monkeypatch, driver)


def test_a_driver_older_than_the_kernels_is_named(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BackendError, match=r"runs CUDA 12\.8 at most, and ctpdeploy is built for CUDA 13: .*R580"):
        ask(monkeypatch, replace(DRIVER, cuda="12.8"))


def test_without_pycuda_the_message_ends_in_the_pip_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra gpu"):
        ask(monkeypatch, DRIVER)


def test_a_pycuda_that_does_not_load_is_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    package = tmp_path / "pycuda"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "driver.py").write_text("raise ImportError('undefined symbol: cuArrayCreate_v2')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("pycuda.driver", "pycuda"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(BackendError, match=r"does not load \(undefined symbol.*\): run pip install --force-reinstall"):
        ask(monkeypatch, DRIVER)


@pytest.mark.parametrize(("driver", "needed"), [("12.8", "12.9"), ("13.0", "13.3"), ("13.0", "12.4"), ("13.0", "")])
def test_minor_versions_do_not_matter_and_newer_drivers_run_older_programs(driver: str, needed: str):
    require_cuda(replace(DRIVER, cuda=driver), needed, "it")


@pytest.mark.parametrize(
    ("needed", "message"),
    [
        ("13.0", r"built for CUDA 13: install a newer driver, R580 or later\."),
        ("14", r"install a newer driver\."),
    ],
)
def test_a_driver_of_an_earlier_major_version_is_refused(needed: str, message: str):
    with pytest.raises(BackendError, match=message):
        require_cuda(replace(DRIVER, cuda="12.9"), needed, "it")


@pytest.mark.parametrize(
    "said",
    [
        "Failed to allocate memory for requested buffer of size 9437184",
        "Available memory of 4096 is smaller than requested bytes of 9437184",
        "CUDA failure 2: out of memory ; GPU=0",
        "CUDNN_STATUS_ALLOC_FAILED",
        "IExecutionContext::enqueueV3: Error Code 2: OutOfMemory (Requested size was 9437184 bytes.)",
        "cudaErrorMemoryAllocation",
    ],
)
def test_too_little_memory_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch, said: str):
    monkeypatch.setattr(errors, "free_memory", lambda: 1_234_000_000)
    error = failure("It", "does not run", said)
    assert type(error) is OutOfMemoryError
    assert "where 1.23 GB are free" in str(error)
    assert said in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "CUDA failure 700: an illegal memory access was encountered ; GPU=0",
        "cudaErrorLaunchFailure",
        "unspecified launch failure",
        "uncorrectable ECC error encountered",
    ],
)
def test_a_lost_gpu_is_said_so(said: str):
    error = failure("It", "does not run", said)
    assert type(error) is BackendError
    assert "lost to this process" in str(error)


def test_other_words_are_passed_on_in_one_short_line():
    assert "does not run (one two): see" in str(failure("It", "does not run", "one\n  two\n"))
    assert "(it gives no reason)" in str(failure("It", "does not run", ""))
    assert len(str(failure("It", "does not run", "word " * 1000))) < 600
