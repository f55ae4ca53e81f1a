"""Computation: each complete study becomes a result, a reason, or a later try."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.nodes import node_config

from ctpdeploy.errors import GuardError
from ctpdeploy.runtime import Pipeline
from ctpdeploy.runtime.data.prediction import EngineInfo, Provenance
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.service.node.computation import Computation
from ctpdeploy.service.node.events import Act, Event
from ctpdeploy.service.node.ledger import Ledger, Study, StudyState
from ctpdeploy.service.node.settings import ArchiveConfig
from ctpdeploy.service.node.spool import Spool

PACS = "PACS@127.0.0.1:104"
BUNDLE = Provenance(
    bundle={"name": "x.ctpbundle", "sha256": 64 * "0"}, backend_requested="auto", backend_because="It was asked for."
)


class Engine:
    """A lesion where Tmax is long; breaks as often as it is told."""

    info = EngineInfo(backend="engine", device="none", precision="fp32")

    def __init__(self) -> None:
        self.calls, self.breaks = 0, 0

    def run(self, batch: SliceBatch) -> SliceOutputs:
        self.calls += 1
        if self.calls <= self.breaks:
            raise GuardError("The networks returned NaN.")
        return SliceOutputs(probability=batch.features[:, 3], pseudo_dwi=batch.features[:, :1])

    def close(self) -> None: ...


class Bench:
    """A computation with what stands around it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.engine, self.now = Engine(), 1000.0
        self.notes: list[Event] = []
        self.results = folder / "results"
        self.results.mkdir()
        self.spool = Spool(folder / "spool", durable=False)
        self.ledger = Ledger(folder / "ledger.sqlite", clock=lambda: self.now)
        config = node_config(folder, archives=(ArchiveConfig(address=PACS),), **settings)
        pipeline = Pipeline(self.engine, PreprocessConfig(slice_shape=(64, 64)), BUNDLE)
        self.computation = Computation(config, self.spool, self.ledger, self.results, pipeline, note=self.notes.append)

    def receive(self, images: list[Path], *, completeness: str = "full grid") -> str:
        key = ""
        for path in images:
            received = self.spool.receive(path.read_bytes())
            key = received.key
            self.spool.keep(received)
        self.ledger.receive(key)
        self.ledger.complete(key, images=len(self.spool.images(key)), completeness=completeness)
        return key

    def study(self, key: str) -> Study:
        found = self.ledger.study(key)
        assert found
        return found

    def report(self, key: str) -> dict[str, Any]:
        import json

        return json.loads((self.results / key / "report.json").read_text())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def codes(report: dict[str, Any]) -> list[str]:
    return [found["code"] for found in report["findings"]]


def test_a_complete_study_becomes_a_result_for_every_archive(bench: Bench, images: list[Path]):
    key = bench.receive(images)
    assert bench.computation.next()
    assert bench.study(key).state is StudyState.DONE
    report = bench.report(key)
    assert report["case"] == key
    assert report["input"]["arrival"] == "full grid"
    assert not {"arrival-by-silence", "result-replaced"} & set(codes(report))
    assert [(one.result, one.archive, one.version) for one in bench.ledger.deliveries()] == [(key, PACS, 1)]
    assert not bench.computation.next()


def test_a_result_and_what_is_none_are_noted(bench: Bench, images: list[Path]):
    bench.engine.breaks = 1
    key = bench.receive(images)
    bench.computation.next()
    bench.now += 10
    bench.computation.next()
    count = len(bench.spool.images(key))
    assert bench.notes == [
        Event(act=Act.NOT_COMPUTED, study=key, images=count, tries=1, again=True),
        Event(act=Act.COMPUTED, study=key, images=count, since_last_image=10.0),
    ]


def test_silence_is_said(bench: Bench, images: list[Path]):
    key = bench.receive(images, completeness="silence")
    bench.computation.next()
    assert "arrival-by-silence" in codes(bench.report(key))
    assert bench.report(key)["input"]["arrival"] == "silence"


def test_a_study_that_grew_has_a_version_more_that_says_so(bench: Bench, images: list[Path], scan: list[Path]):
    key = bench.receive([path for path in images if path not in scan[-2:]])
    bench.computation.next()
    bench.receive(images)
    bench.computation.next()
    (result,) = bench.ledger.results(key)
    assert result.version == 2
    (said,) = (one["sentence"] for one in bench.report(key)["findings"] if one["code"] == "result-replaced")
    count = len(bench.spool.images(key))
    assert said == f"This is version 2: version 1 was of {count - 2} images of the study, this is of {count}."
    assert [one.version for one in bench.ledger.deliveries()] == [2]


def test_what_changes_no_result_is_no_version(bench: Bench, images: list[Path]):
    """A node that was killed before it wrote down what it had; results that come back from the archive."""
    key = bench.receive(images)
    bench.computation.next()
    calls = bench.engine.calls
    bench.receive(sorted(bench.results.joinpath(key, "dicom").iterdir()))
    bench.computation.next()
    assert (bench.engine.calls, [one.version for one in bench.ledger.results(key)]) == (calls, [1])
    assert len(bench.ledger.deliveries()) == 1


def test_a_study_without_a_scan_is_no_failure(bench: Bench, images: list[Path], scan: list[Path]):
    key = bench.receive([path for path in images if path not in scan][-3:])
    bench.computation.next()
    study = bench.study(key)
    assert study.state is StudyState.NO_SCAN
    assert study.reason.startswith("The study holds no CT perfusion series")
    assert [one.act for one in bench.notes] == [Act.NO_SCAN]
    assert not bench.ledger.deliveries()


def test_a_scan_that_cannot_be_used_fails_with_its_reason(bench: Bench, scan: list[Path]):
    key = bench.receive([*scan[:18], *scan[19:]])
    bench.computation.next()
    study = bench.study(key)
    assert (study.state, study.tries) == (StudyState.FAILED, 1)
    assert study.reason.startswith("series 101: the image at")
    assert [(one.act, one.again) for one in bench.notes] == [(Act.NOT_COMPUTED, False)]
    assert not bench.results.joinpath(key).exists()


def test_what_may_pass_is_tried_again_and_not_for_ever(bench: Bench, images: list[Path]):
    bench.engine.breaks = 2
    key = bench.receive(images)
    assert bench.computation.next()
    assert not bench.computation.next()
    assert "NaN" in bench.study(key).reason
    bench.now += 10
    bench.computation.next()
    bench.now += 60
    bench.computation.next()
    assert bench.study(key).state is StudyState.DONE


def test_what_never_goes_well_ends(bench: Bench, images: list[Path]):
    bench.engine.breaks = 99
    key = bench.receive(images)
    for _ in range(9):
        bench.computation.next()
        bench.now += 1000
    study = bench.study(key)
    assert (study.state, study.tries, bench.engine.calls) == (StudyState.FAILED, 4, 4)
    assert bench.ledger.retry(key)
    bench.engine.breaks = 0
    bench.computation.next()
    assert bench.study(key).state is StudyState.DONE
