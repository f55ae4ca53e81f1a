"""The calls of CUDA driver_graphs, answered by a library in C."""

import gc
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.libcuda import Libcuda, compile_libcuda

from ctpdeploy.runtime.backends.cuda import driver_graphs

STREAM = SimpleNamespace(handle=0x123456789ABC)


def test_work_is_captured_and_launched_and_the_graph_destroyed_with_its_owner(libcuda: Libcuda):
    driver = driver_graphs.load_driver()
    queued: list[list[str]] = []
    graph = driver_graphs.capture(driver, STREAM, lambda: queued.append(libcuda.calls))
    assert queued == [["begin"]]
    assert libcuda.stream == STREAM.handle
    assert libcuda.calls == ["begin", "end", "instantiate", "forget"]
    assert [graph.launch(), graph.launch()] == [0, 0]
    del graph
    gc.collect()
    assert libcuda.calls[4:] == ["launch", "launch", "destroy"]


@pytest.mark.parametrize(
    ("function", "called"),
    [
        ("begin", ["begin"]),
        ("end", ["begin", "work", "end"]),
        ("instantiate", ["begin", "work", "end", "instantiate", "forget"]),
    ],
)
def test_what_cannot_be_captured_is_no_graph(libcuda: Libcuda, function: str, called: list[str]):
    libcuda.fail(function, 900)
    worked = []
    assert driver_graphs.capture(driver_graphs.load_driver(), STREAM, lambda: worked.append("work")) is None
    assert [*called[:1], *worked, *libcuda.calls[1:]] == called


@pytest.mark.parametrize("spoilt", [False, True])
def test_work_that_raises_leaves_no_capture_and_no_graph(libcuda: Libcuda, spoilt: bool):
    if spoilt:
        libcuda.fail("end", 901)

    def work() -> None:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        driver_graphs.capture(driver_graphs.load_driver(), STREAM, work)
    assert libcuda.calls == ["begin", "end"] if spoilt else ["begin", "end", "forget"]


def test_the_status_of_a_launch_is_the_drivers(libcuda: Libcuda):
    graph = driver_graphs.capture(driver_graphs.load_driver(), STREAM, lambda: None)
    libcuda.fail("launch", 700)
    assert graph.launch() == 700


def test_a_driver_that_is_missing_or_older_than_graphs_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(driver_graphs, "LIBRARY", str(tmp_path / "libcuda.so.1"))
    assert driver_graphs.load_driver() is None
    compile_libcuda(tmp_path, "int cuStreamBeginCapture_v2(void *stream, int mode) { return 0; }")
    assert driver_graphs.load_driver() is None
