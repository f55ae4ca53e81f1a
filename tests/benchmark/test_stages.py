"""From files to files by a clock of one's own: the stages have all of the time, or it shows."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import write_bundle
from support.clocks import Clock

from ctpdeploy.benchmark import stages
from ctpdeploy.runtime import Pipeline, find_cases
from ctpdeploy.runtime.report import writers


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline.open(write_bundle(tmp_path / "small.ctpbundle"), "ort-cpu")


@pytest.mark.parametrize("unseen", [0.0, 10.0])
def test_time_between_the_stages_is_unaccounted_for(
    pipeline: Pipeline, phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unseen: float
):
    clock = Clock(monkeypatch)
    (case,) = find_cases(phantom_folder / "case_1")
    slow = replace(case, reader=clock.taking(20.0, case.reader))
    monkeypatch.setattr(pipeline.engine, "run", clock.taking(8.0, pipeline.engine.run))
    monkeypatch.setattr(writers, "write_overview", clock.taking(2.0, writers.write_overview))
    monkeypatch.setattr(stages, "write_prediction", clock.taking(unseen, stages.write_prediction))
    found = stages.run_files(pipeline, slow, tmp_path)
    assert (found.wall, found.predict) == (30.0 + unseen, 8.0)
    assert (found.seconds["read"], found.seconds["networks"], found.seconds["overview"]) == (20.0, 8.0, 2.0)
    assert found.unaccounted == pytest.approx(unseen / found.wall)


def test_a_folder_takes_its_time_by_its_cases(
    pipeline: Pipeline, phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = Clock(monkeypatch)
    monkeypatch.setattr(pipeline.engine, "run", clock.taking(8.0, pipeline.engine.run))
    assert stages.run_folder(pipeline, find_cases(phantom_folder), tmp_path) == 8.0
    assert sorted(path.name for path in tmp_path.glob("case_*")) == ["case_1", "case_2", "case_3", "case_4"]
