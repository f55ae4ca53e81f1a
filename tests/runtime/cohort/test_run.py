"""Cases from disk to disk, with an engine that belongs to one thread."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.clocks import Clock

from ctpdeploy.errors import GuardError, InputError
from ctpdeploy.runtime import Case, Pipeline, find_cases, read_case
from ctpdeploy.runtime.cohort.run import infer_all
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.report import writers

SOURCE = {"bundle": {"name": "x.ctpbundle", "sha256": "0"}, "backend_requested": "auto"}
STAGES = {"read", "preprocess", "networks", "postprocess", "write", "overview"}


class OneThread:
    """Refuses to run in another thread than the one that made it, as a CUDA context does; fails for one call."""

    info = EngineInfo(backend="one thread", device="none", precision="fp32")

    def __init__(self, fails: int = -1) -> None:
        self.thread, self.calls, self.fails = threading.get_ident(), 0, fails

    def run(self, batch):  # noqa: ANN001
        assert threading.get_ident() == self.thread
        self.calls += 1
        late = batch.features[:, 3]
        return SliceOutputs(probability=late * (float("nan") if self.calls == self.fails else 1.0))


def readers(folder: Path) -> list[Callable[[], Case]]:
    return [partial(read_case, case) for case in find_cases(folder)]


def test_every_case_ends_in_its_folder_or_in_its_error(tmp_path: Path, phantom_folder: Path):
    def damaged() -> Case:
        raise InputError("damaged")

    reads = readers(phantom_folder)
    reads.insert(1, damaged)
    pipeline = Pipeline(OneThread(fails=2), PreprocessConfig(slice_shape=(64, 64)))
    with infer_all(reads, pipeline, tmp_path, SOURCE) as outcomes:
        found = [outcome.exception() or outcome.result().name for outcome in outcomes]
    assert [found[0], *found[3:]] == ["case_1", "case_3", "case_4"]
    assert isinstance(found[1], InputError)
    assert isinstance(found[2], GuardError)
    assert "case_2" in str(found[2])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case_1", "case_3", "case_4"]


def test_the_stages_of_a_case_are_its_time(tmp_path: Path, phantom_folder: Path, monkeypatch: pytest.MonkeyPatch):
    clock, engine = Clock(monkeypatch), OneThread()
    monkeypatch.setattr(engine, "run", clock.taking(10.0, engine.run))
    monkeypatch.setattr(writers, "write_volume", clock.taking(1.0, writers.write_volume))
    monkeypatch.setattr(writers, "write_overview", clock.taking(0.5, writers.write_overview))
    pipeline = Pipeline(engine, PreprocessConfig(slice_shape=(64, 64)))
    reads = [clock.taking(100.0, read) for read in readers(phantom_folder / "case_1")]
    with infer_all(reads, pipeline, tmp_path, SOURCE) as outcomes:
        folder = next(outcomes).result()
    seconds = json.loads((folder / "report.json").read_text())["seconds"]
    assert set(seconds) == STAGES
    assert (seconds["read"], seconds["networks"], seconds["overview"]) == (100.0, 10.0, 0.5)
    assert seconds["write"] >= 1.0
    assert sum(seconds.values()) == clock.now


def test_no_more_cases_are_read_than_there_is_room_for(tmp_path: Path, phantom_folder: Path):
    pipeline, begun = Pipeline(OneThread(), PreprocessConfig(slice_shape=(64, 64))), []

    def counting():
        for reader in readers(phantom_folder):
            begun.append(reader)
            yield reader

    with infer_all(counting(), pipeline, tmp_path, SOURCE) as outcomes:
        next(outcomes)
        assert len(begun) <= 3
    with pytest.raises(StopIteration):
        next(outcomes)
