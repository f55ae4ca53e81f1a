import sys
from pathlib import Path

import pytest

from ctpdeploy.errors import BackendError, MissingPackageError, UsageError
from ctpdeploy.runtime.backends.cuda.driver import Driver
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, choose_package, packages, unavailable_because
from ctpdeploy.runtime.backends.trt.packages import cuda_of, load

NO_DRIVER = "There is no NVIDIA driver (nowhere): install it."


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch):
    def missing() -> Driver:
        raise BackendError(NO_DRIVER)

    monkeypatch.setattr(packages, "probe", missing)


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, module: str, code: str) -> None:
    """Put a package of one line where it is imported first."""
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, module, None)  # remembers what stood there, so that it comes back
    del sys.modules[module]


def block(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(("name", "extra"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "rtx")])
def test_a_missing_package_ends_in_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch, name: str, extra: str):
    block(monkeypatch, TENSORRT_PACKAGES[name].module)
    with pytest.raises(MissingPackageError, match=rf"install ctpdeploy with its extra {extra}"):
        load(TENSORRT_PACKAGES[name])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise ImportError('libnvonnxparser.so.11: cannot open shared object file')", r"does not load \(libnvonnx"),
        ("import tensorrt_bindings_gone", r"does not load \(No module named 'tensorrt_bindings_gone'\)"),
        ("", "half removed"),
        ("__version__ = '10.13.1.9'", r"tensorrt 10\.13\.1\.9 is not from 10\.13\.2 up to below 12"),
        ("__version__ = '12.0.0'", r"tensorrt 12\.0\.0 is not from"),
    ],
)
def test_a_package_that_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str
):
    install(monkeypatch, tmp_path, "tensorrt", code)
    with pytest.raises(
        BackendError, match=message + r".*pip uninstall -y tensorrt .*install ctpdeploy with its extra tensorrt"
    ):
        load(TENSORRT_PACKAGES["tensorrt"])


@pytest.mark.parametrize("version", ["10.13.2.6", "10.16.1.11", "11.4.0.106"])
def test_versions_that_fit_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str):
    install(monkeypatch, tmp_path, "tensorrt", f"__version__ = '{version}'")
    assert load(TENSORRT_PACKAGES["tensorrt"]).__version__ == version


def test_without_a_driver_the_portable_package_builds_and_the_other_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    install(monkeypatch, tmp_path, "tensorrt", "__version__ = '11.4.0.106'")
    install(monkeypatch, tmp_path / "rtx", "tensorrt_rtx", "__version__ = '1.7.1.116'")
    assert unavailable_because(TENSORRT_PACKAGES["tensorrt"]) == NO_DRIVER
    assert unavailable_because(TENSORRT_PACKAGES["tensorrt-rtx"]) is None
    assert choose_package("tensorrt-rtx") is TENSORRT_PACKAGES["tensorrt-rtx"]
    with pytest.raises(BackendError, match=r"No engine of tensorrt can be built here\. There is no NVIDIA driver"):
        choose_package("tensorrt")


def test_the_package_asked_for_or_nothing(monkeypatch: pytest.MonkeyPatch):
    block(monkeypatch, "tensorrt", "tensorrt_rtx")
    with pytest.raises(BackendError, match=r"No engine of tensorrt can be built here\. .*with its extra tensorrt"):
        choose_package("tensorrt")
    with pytest.raises(UsageError, match="'openvino': choose tensorrt or tensorrt-rtx"):
        choose_package("openvino")


def test_cuda_is_read_off_the_names_of_the_wheels():
    pytest.importorskip("tensorrt_rtx")
    assert cuda_of(TENSORRT_PACKAGES["tensorrt-rtx"]) in ("12", "13")
