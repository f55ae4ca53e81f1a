"""Engines that break their contract: a backend of somebody else, from the registry to the exit code."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import write_bundle

from ctpdeploy.cli import run
from ctpdeploy.errors import BackendError, ExitCode, InputError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.checked_engine import checked
from ctpdeploy.runtime.backends.engine import CaseEngine, Engine
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.gate.gate import reference_of, slices_of


class Theirs(Engine):
    """ONNX Runtime, with a change of what it returns."""

    info = EngineInfo(backend="theirs", device="host", precision="fp32")

    def __init__(self, bundle: Bundle, change: Callable[[SliceOutputs], Any]) -> None:
        self._engine, self._change = ort_cpu.open_engine(bundle), change

    def run(self, batch: SliceBatch) -> SliceOutputs:
        return self._change(self._engine.run(batch))

    def close(self) -> None:
        self._engine.close()


class TheirWay(Theirs, CaseEngine):
    """The same, and cases."""

    def run_case(self, *_: object) -> Any:
        return self._change(SliceOutputs(probability=np.zeros((2, 64, 64), np.float32)))


def fails(_: SliceOutputs) -> Any:
    raise KeyError("no such\nlayer")


WRONG: dict[str, tuple[Callable[[SliceOutputs], Any], str]] = {
    "raises": (fails, r"\(KeyError: 'no such\\nlayer'\)"),
    "nothing": (lambda _: None, r"\(AttributeError: 'NoneType' object has no attribute 'probability'\)"),
    "an axis more": (
        lambda good: replace(good, probability=good.probability[:, None]),
        r"probability of shape \(2, 1, 64, 64\)",
    ),
    "a slice less": (lambda good: replace(good, probability=good.probability[1:]), r"shape \(1, 64, 64\)"),
    "float64": (lambda good: replace(good, probability=good.probability.astype(np.float64)), "type float64"),
    "a pseudo-DWI without its axis": (
        lambda good: replace(good, pseudo_dwi=good.probability),
        r"pseudo-DWI of shape \(2, 64, 64\)",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "small.ctpbundle")


@pytest.fixture
def bundle(folder: Path) -> Iterator[Bundle]:
    with Bundle.open(folder) as opened:
        yield opened


@pytest.mark.parametrize("wrong", WRONG)
def test_an_engine_that_breaks_its_contract_is_an_error_in_a_sentence(bundle: Bundle, wrong: str):
    change, words = WRONG[wrong]
    with (
        checked(Theirs(bundle, change), "theirs") as engine,
        pytest.raises(BackendError, match=rf"backend theirs.*{words}|{words}.*backend theirs") as caught,
    ):
        engine.run(slices_of(reference_of(bundle)))
    assert str(caught.value).isprintable()


def test_what_a_right_engine_does_is_unchanged(bundle: Bundle):
    batch = slices_of(reference_of(bundle))
    with checked(Theirs(bundle, lambda good: good), "theirs") as engine, ort_cpu.open_engine(bundle) as other:
        np.testing.assert_array_equal(engine.run(batch).probability, other.run(batch).probability)
        assert engine.info is Theirs.info
        assert not isinstance(engine, CaseEngine)
        with pytest.raises(InputError, match="takes features of shape"):
            engine.run(replace(batch, features=batch.features[:, :4]))


def test_an_engine_of_cases_stays_one(bundle: Bundle):
    engine = checked(TheirWay(bundle, fails), "theirs")
    assert isinstance(engine, CaseEngine)
    case: Any = type("Case", (), {"identifier": "case_1"})()
    with pytest.raises(BackendError, match=r"^The backend theirs fails on case_1 \(KeyError: .*\): free memory, or"):
        engine.run_case(case, bundle.preprocess)


def test_an_engine_that_does_not_close(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    engine = checked(Theirs(bundle, fails), "theirs")
    monkeypatch.setattr(Theirs, "close", fails)
    with pytest.raises(BackendError, match=r"^The backend theirs does not close \(KeyError: "):
        engine.close()


def test_what_is_no_engine_is_not_opened(bundle: Bundle):
    backend = Backend(extra=None, packages=(), open=lambda _: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(BackendError, match=r"^The backend theirs did not open \(AttributeError: 'NoneType'"):
        backend.opened(bundle, "theirs")


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Beside the CPU's own, the backend of somebody else that fails when it runs, and one that fails when asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = dict(BACKENDS)
    failing = Backend(extra=None, packages=(), open=lambda bundle: Theirs(bundle, fails))

    def raises() -> str | None:
        raise OSError("libtheirs.so: cannot\nopen")

    BACKENDS.clear()
    unasked = replace(failing, unavailable_because=raises)
    BACKENDS.update({"ort-cpu": before["ort-cpu"], "theirs": failing, "unasked": unasked})
    yield
    BACKENDS.clear()
    BACKENDS.update(before)  # in their order, which counts


@pytest.mark.usefixtures("theirs")
def test_warmup_ranks_the_others(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["warmup", str(folder), "--json"]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    assert list(found["seconds_per_slice"]) == ["ort-cpu"]
    assert found["refused"]["theirs"].startswith("The backend theirs fails to run the networks (KeyError: ")
    assert found["refused"]["unasked"] == (
        "Whether it can run here cannot be told (OSError: libtheirs.so: cannot open): choose another with --backend."
    )


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize("name", ["theirs", "unasked"])
@pytest.mark.parametrize("command", ["infer", "verify"])
def test_the_commands_end_in_a_sentence_and_exit_five(
    folder: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, name: str
):
    case = [str(phantom_folder / "case_1"), "--out", str(tmp_path / "out")] if command == "infer" else []
    assert run([command, str(folder), *case, "--backend", name]) == ExitCode.BACKEND
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "Error: " in line and name in line]
    assert line.startswith("Error: The backend ")


@pytest.mark.usefixtures("theirs")
def test_doctor_lists_what_cannot_be_asked(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--json"]) == ExitCode.DONE
    assert "cannot be told (OSError" in json.loads(capsys.readouterr().out)["backends"]["unasked"]
