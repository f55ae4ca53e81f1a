"""Engines that are compared are closed, whatever becomes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_bundle

from ctpdeploy.errors import BackendError, GateError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.registry import Backend
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.gate import backend_ranking
from ctpdeploy.runtime.gate.backend_ranking import rank_backends


class Noting(Engine):
    """ONNX Runtime, or what is off by ``added``; fails with ``fault``."""

    info = EngineInfo(backend="noting", device="host", precision="fp32")

    def __init__(self, bundle: Bundle, added: float = 0.0, fault: BackendError | None = None) -> None:
        self._engine, self._added, self._fault = ort_cpu.open_engine(bundle), added, fault
        self.closes = 0

    def run(self, batch: SliceBatch) -> SliceOutputs:
        if self._fault is not None:
            raise self._fault
        outputs = self._engine.run(batch)
        return SliceOutputs(probability=outputs.probability + np.float32(self._added))

    def close(self) -> None:
        self.closes += 1


KINDS: dict[str, dict[str, object]] = {
    "right": {},
    "wrong": {"added": 0.1},
    "failing": {"fault": BackendError("It fails to run.")},
}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> dict[str, Noting]:
    """The engines that were opened, while these are all backends there are."""
    found: dict[str, Noting] = {}
    backends: dict[str, Backend] = {}
    monkeypatch.setattr(backend_ranking, "BACKENDS", backends)
    for name, kind in KINDS.items():

        def open_one(bundle: Bundle, name: str = name, kind: dict[str, object] = kind) -> Engine:
            found[name] = Noting(bundle, **kind)
            return found[name]

        backends[name] = Backend(extra=None, packages=(), open=open_one)
    return found


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "small.ctpbundle"))


def test_all_are_closed_when_one_is_the_fastest(bundle: Bundle, opened: dict[str, Noting]):
    ranking = rank_backends(bundle, lambda *_: None)
    assert list(ranking.speeds.seconds) == ["right"]
    assert ranking.refused["failing"] == "It fails to run."
    assert "The gate does not hold" in ranking.refused["wrong"]
    assert {name: engine.closes for name, engine in opened.items()} == dict.fromkeys(KINDS, 1)


def test_all_are_closed_when_none_holds(bundle: Bundle, opened: dict[str, Noting]):
    del backend_ranking.BACKENDS["right"]
    with pytest.raises(GateError, match=r"No backend holds here\. wrong: .* failing: It fails to run"):
        rank_backends(bundle, lambda *_: None)
    assert {name: engine.closes for name, engine in opened.items()} == {"wrong": 1, "failing": 1}


def test_a_backend_that_cannot_run_is_not_opened(bundle: Bundle, opened: dict[str, Noting]):
    for name in ("wrong", "failing"):
        able = backend_ranking.BACKENDS[name]
        backend_ranking.BACKENDS[name] = replace(able, unavailable_because=lambda: "No.")
    assert rank_backends(bundle, lambda *_: None).refused == {"wrong": "No.", "failing": "No."}
    assert list(opened) == ["right"]
