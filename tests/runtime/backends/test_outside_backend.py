"""A backend from outside: an engine of its own, and one line that registers it."""

from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_bundle

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.onnx_graph.graph import Graph, read_graph
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import evaluate
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.processor import processor_name
from ctpdeploy.runtime.backends.registry import BACKENDS, Backend, open_engine
from ctpdeploy.runtime.backends.slice_engine import SliceEngine
from ctpdeploy.runtime.backends.slices import Slice
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.gate.gate import reference_of, try_engine


# what the page "Add a backend" shows begins here
class NumpyNetwork:
    """The merged network in NumPy, one slice at a time."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def run(self, inputs: Slice) -> Slice:
        found = evaluate(self._graph, {name: array[None] for name, array in inputs.items()}, np.float32)
        return {name: array.reshape(-1, *array.shape[-2:]).astype(np.float32) for name, array in found.items()}

    def close(self) -> None:
        """There is nothing to give back."""


def open_numpy(bundle: Bundle) -> Engine:
    network = NumpyNetwork(read_graph(bundle.network_content(PIPELINE)))
    info = EngineInfo(backend="mine", device=processor_name(), precision="fp32", versions=versions_of("numpy"))
    return SliceEngine(network, bundle.networks[PIPELINE], info)


MINE = Backend(extra=None, packages=("numpy",), open=open_numpy)
# and ends here, but for BACKENDS["mine"] = MINE


@pytest.fixture
def _registered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BACKENDS, "mine", MINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "small.ctpbundle")


@pytest.mark.usefixtures("_registered")
def test_it_passes_the_gate(folder: Path):
    with Bundle.open(folder) as bundle, open_engine(bundle, "mine") as engine:
        trial = try_engine(bundle, engine, reference_of(bundle))
    assert trial.candidate == "mine"
    assert not trial.failures()


@pytest.mark.usefixtures("_registered")
def test_commands_know_it(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["doctor"]) == ExitCode.DONE
    assert "mine" in capsys.readouterr().out
    assert run(["verify", str(folder), "--backend", "mine"]) == ExitCode.DONE


def test_it_is_gone_when_it_is_unregistered():
    assert "mine" not in BACKENDS
