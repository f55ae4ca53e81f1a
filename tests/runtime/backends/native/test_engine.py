"""What is noticed before the backend answers anything: a missing, foreign or wrong library, and what it cannot run."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from support.bundles import edit_network, write_bundle
from support.operator_networks import PLAIN, model, normal

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.native import library
from ctpdeploy.runtime.backends.native.build import LIBRARY, SOURCES, build, compiler_of_this_machine, hash_of_sources
from ctpdeploy.runtime.backends.native.engine import NAME, open_engine
from ctpdeploy.runtime.backends.native.kernels import Kernels
from ctpdeploy.runtime.backends.native.lazy_tensor import PendingTensor
from ctpdeploy.runtime.backends.native.network import Network
from ctpdeploy.runtime.backends.onnx_graph.graph import read_graph


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the kernels are for x86-64")
@pytest.mark.skipif(compiler_of_this_machine() is None, reason="there is no C++ compiler")
def test_the_library_fits_its_source():
    assert library.unavailable_because() is None


def test_what_runs(bundle_folder: Path):
    with Bundle.open(bundle_folder) as bundle:
        info = open_engine(bundle).info
    assert (info.backend, info.precision, NAME) == ("native", "fp32", "native")


def test_without_the_library(tmp_path: Path):
    reason = library.unavailable_because(tmp_path / "libkernels.so")
    assert reason is not None
    assert "has no compiled kernels: install a C++ compiler and run python -m" in reason


def test_a_library_of_another_system_or_version(tmp_path: Path):
    foreign, old, other = (tmp_path / name for name in ("foreign.so", "old.so", "other.so"))
    foreign.write_bytes(b"MZ")
    assert "cannot be loaded" in str(library.unavailable_because(foreign))
    source = tmp_path / "old.cpp"
    source.write_text("int main() { return 0; }\n")
    subprocess.run(["g++", "-shared", "-fPIC", "-o", other, source], check=True)
    assert "cannot be loaded" in str(library.unavailable_because(other))
    build(old)
    old.write_bytes(old.read_bytes().replace(hash_of_sources().encode(), b"0" * 64))
    assert "compiled from another version" in str(library.unavailable_because(old))


@pytest.mark.skipif(sys.platform != "linux" or shutil.which("nm") is None, reason="nm reads the symbols of ELF files")
def test_the_library_exports_the_functions_that_are_called_and_nothing_else():
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", str(LIBRARY)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in listed.splitlines()} == set(library._SIGNATURES)


def test_a_change_of_any_source_is_a_change_of_version(tmp_path: Path):
    files = sorted(path.name for path in SOURCES.iterdir())
    assert {"processor.cpp", "winograd.cpp", "images.hpp", "exports.map"} <= set(files)
    for name in files:
        copy = Path(shutil.copytree(SOURCES, tmp_path / name))
        assert hash_of_sources(copy) == hash_of_sources()
        with (copy / name).open("a") as file:
            file.write("\n")
        assert hash_of_sources(copy) != hash_of_sources(), name


@pytest.mark.parametrize(("compiler", "says"), [("/nowhere/c++", "No such file"), ("false", "does not compile")])
def test_building_without_a_compiler(compiler: str, says: str):
    command = [sys.executable, "-m", "ctpdeploy.runtime.backends.native"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"CXX": compiler, "PATH": "/bin"})
    assert done.returncode == 1
    assert done.stderr.startswith("The kernels were not built: ")
    assert says in done.stderr
    assert library.unavailable_because() is None, "what was there stays"


def divided_by_one_less(moments: Callable[..., Any]) -> Callable[..., Any]:
    """The unbiased variance, where the network means the other."""

    def wrong(kernels: Kernels, image: PendingTensor) -> Any:
        mean, variance = moments(kernels, image)
        count = np.prod(image.size)
        return mean, variance * count / (count - 1)

    return wrong


def weights_of_ten_bits(pack: Callable[..., Any]) -> Callable[..., Any]:
    """Mantissas as the tensor cores of a GPU would have them."""

    def wrong(kernels: Kernels, weight: np.ndarray, *others: Any, **more: Any) -> Any:
        bits = np.ascontiguousarray(weight, np.float32).view(np.uint32)
        return pack(kernels, (bits & np.uint32(0xFFFFE000)).view(np.float32), *others, **more)

    return wrong


@pytest.mark.parametrize(
    ("kernel", "fault", "output"),
    [("moments", divided_by_one_less, "probability"), ("pack", weights_of_ten_bits, "extractor")],
)
def test_a_wrong_kernel_is_noticed_at_load(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, kernel: str, fault: Callable[..., Any], output: str
):
    """Faults a hundred times and more above the limit: how far off they are differs with the weights, a few times."""
    monkeypatch.setattr(Kernels, kernel, fault(getattr(Kernels, kernel)))
    with (
        Bundle.open(bundle_folder) as bundle,
        pytest.raises(BackendError, match=f"native computes wrongly here: its {output}"),
    ):
        open_engine(bundle)


def test_a_bundle_of_another_precision(tmp_path: Path):
    def cast(network: ModelProto) -> None:
        network.graph.node.insert(0, helper.make_node("Cast", ["features"], ["half"], to=TensorProto.FLOAT16))

    folder = write_bundle(tmp_path / "half.ctpbundle")
    edit_network(folder, cast)
    with Bundle.open(folder) as bundle, pytest.raises(BackendError, match=r"pipeline.onnx, because .*operator Cast"):
        open_engine(bundle)


def test_weights_are_kept_once():
    """A convolution's weights are in the kernels' form only, and a second run is the same as the first."""
    content = model([("Conv", "x w3 b16", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]})]).SerializeToString()
    network = Network(read_graph(content), 2, called=NAME)
    assert network._constants["w3"].size == 0
    x = normal(6, 16, 16)
    np.testing.assert_array_equal(network.run({"x": x})["y0"], network.run({"x": x})["y0"])


THREADLESS = """
import resource
import time
from pathlib import Path
from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.native.kernels import Kernels

Kernels(2).close()
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 2**28
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    Kernels(500)
except BackendError as error:
    print(error)
while len(list(Path("/proc/self/task").iterdir())) > 1:  # threads that have ended are listed for a moment
    time.sleep(0.01)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted, and memory is limited, as on Linux")
def test_threads_that_the_system_does_not_start_are_a_sentence_and_none_is_left():
    """Nothing is thrown through C into Python, which would end the process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", THREADLESS]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=60)
    assert done.stdout.startswith("The system starts no 500 threads for the networks: ")


def test_a_constant_that_a_convolution_shares_stays_for_the_others():
    """A convolution's constants go when the kernels have them in their own form, but not those that others read too."""
    content = model(
        [
            ("Conv", "x square3 b6", {**PLAIN, "strides": [1, 1], "pads": [1, 1, 1, 1]}),
            ("BatchNormalization", "y0 b6 b6 b6 v6", {"epsilon": 1e-5}),
        ]
    ).SerializeToString()
    network = Network(read_graph(content), 2, called=NAME)
    x = normal(6, 16, 16)
    np.testing.assert_array_equal(network.run({"x": x})["y1"], network.run({"x": x})["y1"])
