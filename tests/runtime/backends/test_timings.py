"""What was measured is remembered for the very question that it answers."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.bundles import write_bundle
from support.clocks import Clock

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.timings import Speeds, measure_speeds, recall, remember
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs

PACKAGES = ("onnxruntime", "numpy")


class Sleeper(Engine):
    """An engine that takes its time, and now and then much more."""

    def __init__(self, clock: Clock, seconds: float, *, hiccup: int | None = None) -> None:
        self.runs, self._clock, self._seconds, self._hiccup = 0, clock, seconds, hiccup

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(backend="sleeper", device="none", precision="fp32")

    def run(self, batch: SliceBatch) -> SliceOutputs:
        self.runs += 1
        self._clock.spend(0.2 if self.runs == self._hiccup else self._seconds)
        return SliceOutputs(probability=np.zeros((len(batch.frames), 2, 2), dtype=np.float32))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "made.ctpbundle"))


def volume(slices: int) -> SliceBatch:
    frames, features = (np.zeros((slices, n, 2, 2), dtype=np.float32) for n in (6, 5))
    return SliceBatch(frames=frames, features=features)


def test_the_median_decides_and_engines_take_turns(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    engines = {
        "slow": Sleeper(clock, 0.05),
        "disturbed": Sleeper(clock, 0.005, hiccup=2),
        "steady": Sleeper(clock, 0.02),
    }
    told: list[str] = []
    speeds = measure_speeds(engines, volume(2), told.append, rounds=3)
    assert list(speeds.seconds) == ["disturbed", "steady", "slow"]
    assert speeds.seconds == pytest.approx({"disturbed": 0.0025, "steady": 0.01, "slow": 0.025})  # of a slice
    assert [sorted(told[i : i + 3]) for i in (0, 3, 6)] == [sorted(engines)] * 3


def test_it_is_remembered_for_the_bundle(bundle: Bundle, tmp_path: Path):
    speeds = Speeds(seconds={"b": 0.5, "a": 1.25}, date="2026-01-02T03:04:05+0000")
    assert recall(bundle, PACKAGES, tmp_path / "cache") is None
    file = remember(bundle, speeds, PACKAGES, tmp_path / "cache")
    found = recall(bundle, PACKAGES, tmp_path / "cache")
    assert found == speeds
    assert str(found) == "b 0.5 s, a 1.25 s a slice, measured on 2026-01-02"
    assert not list(file.parent.glob(".*"))
    other = dataclasses.replace(bundle, precision="fp16", folder=tmp_path / "other")
    other.folder.mkdir()
    other.write_manifest()
    assert recall(other, PACKAGES, tmp_path / "cache") is None
    assert recall(bundle, ("onnxruntime",), tmp_path / "cache") is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"seconds": 3, "date": ""}', '{"seconds": {"a": NaN}, "date": ""}', "[" * 9999]
)
def test_what_cannot_be_read_was_not_measured(bundle: Bundle, tmp_path: Path, content: str):
    file = remember(bundle, Speeds(seconds={"a": 1.0}, date=""), PACKAGES, tmp_path)
    file.write_text(content)
    assert recall(bundle, PACKAGES, tmp_path) is None


def test_a_place_that_cannot_be_written_is_named(bundle: Bundle, tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file.speeds cannot be written \(.*\): name another folder by the variable"):
        remember(bundle, Speeds(seconds={"a": 1.0}, date=""), PACKAGES, tmp_path / "file")


def test_what_an_administrator_measured_serves_all(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """warmup by root, into the machine's cache; infer by a service without a home, or by a user with a cache."""
    machines = tmp_path / "var"
    machines.mkdir()
    monkeypatch.setattr("platformdirs.site_cache_path", lambda *_, **__: machines)
    speeds = Speeds(seconds={"a": 1.0}, date="2026-01-02")
    assert remember(bundle, speeds, PACKAGES).is_relative_to(machines)
    assert recall(bundle, PACKAGES) == speeds
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/ctpdeploy"))
    assert recall(bundle, PACKAGES) == speeds
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(tmp_path / "named"))
    assert recall(bundle, PACKAGES) is None
    assert remember(bundle, speeds, PACKAGES).is_relative_to(tmp_path / "named")
    assert recall(bundle, PACKAGES) == speeds


def test_without_a_home_nothing_is_made_in_the_working_folder(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("platformdirs.site_cache_path", lambda *_, **__: tmp_path / "none")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path("~/.cache/ctpdeploy"))
    before = sorted(tmp_path.iterdir())
    assert recall(bundle, PACKAGES) is None
    with pytest.raises(UsageError, match=r"no home .*CTPDEPLOY_CACHE"):
        remember(bundle, Speeds(seconds={"a": 1.0}, date=""), PACKAGES)
    assert sorted(tmp_path.iterdir()) == before
