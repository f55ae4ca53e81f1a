"""The reception: studies come to the ledger when they are complete, also after a kill, and of one patient each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from support.nodes import node_config

from ctpdeploy.errors import InputError
from ctpdeploy.service.node.events import Act, Event, Peer
from ctpdeploy.service.node.ledger import Ledger, StudyState
from ctpdeploy.service.node.reception import Reception
from ctpdeploy.service.node.settings import CompleteConfig
from ctpdeploy.service.node.spool import Spool


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.woken = folder, 0.0, 0
        self.notes: list[Event] = []
        self.ledger = Ledger(folder / "ledger.sqlite")
        self.spool = Spool(folder / "spool", durable=False)
        self.reception = self.open()

    def open(self) -> Reception:
        config = node_config(self.folder, complete=CompleteConfig(settle_s=2.0, quiet_s=30.0))
        return Reception(
            config, self.spool, self.ledger, on_complete=self.wake, clock=lambda: self.now, note=self.notes.append
        )

    def wake(self) -> None:
        self.woken += 1

    def take(self, images: list[Path], *, sender: str = "a") -> None:
        for path in images:
            self.reception.take(path.read_bytes(), sender=sender, peer=Peer(sender))
        self.reception.leave(sender)

    def states(self) -> list[StudyState]:
        return [study.state for study in self.ledger.studies()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.ledger.close()


def test_a_study_is_complete_once(bench: Bench, scan: list[Path]):
    bench.take(scan[:39])
    bench.reception.settle()
    assert (bench.states(), bench.woken) == ([StudyState.RECEIVING], 0)
    bench.take(scan[39:])
    bench.reception.settle()
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert (study.state, study.images, study.completeness) == (StudyState.COMPLETE, 40, "full grid")
    assert 1.0 < study.hold - study.changed <= 2.0
    assert bench.woken == 1


def test_what_comes_is_noted_and_counted(bench: Bench, scan: list[Path]):
    bench.take(scan)
    bench.take(scan[:3])
    bench.now += 1.5
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert bench.notes == [
        Event(act=Act.RECEIVING, study=study.key, peer=Peer("a")),
        Event(act=Act.COMPLETE, study=study.key, images=40),
    ]
    assert bench.reception.received == 40
    assert study.changed - study.last == pytest.approx(1.5, abs=0.5)


def test_images_sent_again_start_nothing(bench: Bench, scan: list[Path]):
    bench.take(scan)
    bench.now = 3.0
    bench.reception.settle()
    study = bench.ledger.claim()
    assert study
    bench.ledger.done(study, results={}, archives=[])
    bench.take(scan)
    assert bench.states() == [StudyState.DONE]


def test_a_study_that_grows_counts_what_was_there(bench: Bench, scan: list[Path]):
    bench.take(scan[:38])
    bench.now = 3.0
    bench.reception.settle()
    assert bench.ledger.claim()
    bench.take(scan[38:])
    assert bench.states() == [StudyState.RECEIVING]
    bench.now = 6.0
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert (study.state, study.images) == (StudyState.COMPLETE, 40)


def test_the_same_study_from_two_senders_is_one(bench: Bench, scan: list[Path]):
    bench.reception.take(scan[0].read_bytes(), sender="b")
    bench.take(scan)
    bench.now = 3.0
    bench.reception.settle()
    assert bench.states() == [StudyState.RECEIVING]
    bench.take(scan, sender="b")
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert (study.state, study.images) == (StudyState.COMPLETE, 40)


def test_two_patients_under_one_study_have_no_result(bench: Bench, scan: list[Path], tmp_path: Path):
    other = dcmread(scan[0])
    other.PatientID, other.SOPInstanceUID = "another", "1.2.3"
    other.file_meta.MediaStorageSOPInstanceUID = other.SOPInstanceUID
    other.save_as(tmp_path / "other.dcm")
    bench.take([*scan, tmp_path / "other.dcm"])
    bench.now = 60.0
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert study.state is StudyState.FAILED
    assert study.reason.startswith("Its images name two patients")
    assert bench.ledger.claim() is None
    assert [one.act for one in bench.notes] == [Act.RECEIVING, Act.NOT_COMPUTED]


def test_an_object_of_another_uid_than_its_sender_says_is_refused(bench: Bench, scan: list[Path]):
    with pytest.raises(InputError, match="another UID"):
        bench.reception.take(scan[0].read_bytes(), sender="a", instance="1.2.3")
    assert (bench.spool.studies(), bench.states()) == ([], [])
    assert not list((bench.spool.folder / "incoming").iterdir())


def test_what_a_killed_node_had_received_is_gone_on_with(bench: Bench, scan: list[Path]):
    """Some are in their place and in no ledger, one is on its way."""
    for path in scan[:20]:
        bench.spool.keep(bench.spool.receive(path.read_bytes()))
    bench.spool.receive(scan[20].read_bytes())
    bench.reception = bench.open()
    bench.reception.recover()
    assert bench.states() == [StudyState.RECEIVING]
    bench.take(scan[21:])
    bench.now = 3.0
    bench.reception.settle()
    (study,) = bench.ledger.studies()
    assert (study.state, study.images) == (StudyState.COMPLETE, 40)


def test_what_came_to_a_settled_study_before_a_kill_is_not_forgotten(bench: Bench, scan: list[Path]):
    bench.take(scan[:38])
    bench.now = 3.0
    bench.reception.settle()
    study = bench.ledger.claim()
    assert study
    bench.ledger.done(study, results={}, archives=[])
    bench.spool.keep(bench.spool.receive(scan[38].read_bytes()))
    bench.reception = bench.open()
    bench.reception.recover()
    assert bench.states() == [StudyState.RECEIVING]


def test_a_settled_study_stays_settled_at_a_start(bench: Bench, scan: list[Path], images: list[Path]):
    bench.take(images)
    bench.now = 60.0
    bench.reception.settle()
    study = bench.ledger.claim()
    assert study
    assert study.images == len(bench.spool.images(study.key))
    bench.ledger.done(study, results={}, archives=[])
    bench.reception = bench.open()
    bench.reception.recover()
    assert bench.states() == [StudyState.DONE]
    assert len(scan) < study.images


def test_reports_alone_are_a_study_too(bench: Bench, images: list[Path]):
    """So that what is kept is known, and goes in time."""
    (report,) = (path for path in images if b"DOSE REPORT" in path.read_bytes())
    bench.take([report])
    bench.now = 60.0
    bench.reception.settle()
    assert bench.states() == [StudyState.COMPLETE]
