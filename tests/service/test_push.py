"""Pushes of several results: what is whole goes, what fails is named, and each receipt says so."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.archives import Node, Web, dicom_node, web_service
from support.sealed_results import PATIENT, write_result

from ctpdeploy.errors import InputError, PeerError, UsageError
from ctpdeploy.runtime.cohort.seal import seal
from ctpdeploy.service import (
    Commitment,
    CommitmentState,
    DicomAddress,
    DicomArchive,
    Instance,
    Outcome,
    Patience,
    Push,
    State,
    WebAddress,
    WebArchive,
    push_results,
    results_in,
)
from ctpdeploy.service.archive import Archive, TransientError
from ctpdeploy.service.statuses import outcome_of_status

ONCE = Patience(tries=1)


class Box:
    """Keeps UIDs, and breaks or refuses after so many objects."""

    address, protocol = "BOX@nowhere:104", "C-STORE"

    def __init__(self, after: int = 999, then: int | BaseException = 0) -> None:
        self.kept: list[str] = []
        self.after, self.then = after, then

    def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
        for one in instances:
            status = 0
            if len(self.kept) >= self.after:
                if isinstance(self.then, BaseException):
                    raise self.then
                status = self.then
            if not status:
                self.kept.append(one.uid)
            yield outcome_of_status(one, status)


def push(out: Path, archive: Archive, **options: Any) -> Push:
    return push_results(results_in(out), archive, **{"patience": ONCE, **options})


def receipt(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "receipt.json").read_text())["deliveries"]


def states(folder: Path, number: int = -1) -> list[str]:
    return [one["state"] for one in receipt(folder)[number]["objects"]]


def test_every_case_goes_and_has_a_receipt(tmp_path: Path):
    folders = [write_result(tmp_path, f"case_{number}") for number in (1, 2)]
    told: list[tuple[str, int, int]] = []
    pushed = push(tmp_path, box := Box(), on_object=lambda *step: told.append(step))
    assert (list(pushed.deliveries), pushed.failures) == (["case_1", "case_2"], {})
    assert len(set(box.kept)) == 6
    assert [states(folder) for folder in folders] == 2 * [3 * ["stored"]]
    assert told == [(case, done, 3) for case in ("case_1", "case_2") for done in (1, 2, 3)]


def test_a_push_more_is_a_delivery_more(tmp_path: Path):
    folder = write_result(tmp_path)
    for number in (1, 2, 3):
        push(tmp_path, Box())
        assert len(receipt(folder)) == number
    assert len({one["begun"] for one in receipt(folder)}) == 3


def test_a_case_that_is_not_whole_stops_no_other(tmp_path: Path):
    spoiled, whole = write_result(tmp_path, "case_1"), write_result(tmp_path, "case_2")
    (spoiled / "dicom" / "report.dcm").write_bytes(b"another")
    pushed = push(tmp_path, box := Box())
    assert isinstance(pushed.refused["case_1"], InputError)
    assert "seal" in pushed.failures["case_1"]
    assert not (spoiled / "receipt.json").exists()
    assert states(whole) == 3 * ["stored"]
    assert len(box.kept) == 3


def test_a_case_without_dicom_is_no_failure_and_is_named(tmp_path: Path):
    write_result(tmp_path, "case_1", ())
    write_result(tmp_path, "case_2")
    pushed = push(tmp_path, Box())
    assert (pushed.without_dicom, pushed.failures, list(pushed.deliveries)) == (["case_1"], {}, ["case_2"])


def test_what_is_refused_is_a_failure_with_its_reason(tmp_path: Path):
    folder = write_result(tmp_path)
    pushed = push(tmp_path, Box(2, 0xA900))
    assert states(folder) == ["stored", "stored", "refused"]
    assert "1 of 3 objects are not in BOX@nowhere:104 (it does not match its SOP class (a900))" in str(pushed.failures)


def test_an_archive_that_is_not_reached_ends_it(tmp_path: Path):
    folders = [write_result(tmp_path, f"case_{number}") for number in (1, 2, 3)]
    gone = TransientError("it is gone.")
    pushed = push(tmp_path, Box(4, gone))
    assert list(pushed.deliveries) == ["case_1", "case_2"]
    assert states(folders[1]) == ["stored", "unsent", "unsent"]
    assert pushed.refused == {"case_3": gone}
    assert not (folders[2] / "receipt.json").exists()


def test_an_archive_that_is_never_reached_is_asked_once(tmp_path: Path):
    for number in (1, 2, 3):
        write_result(tmp_path, f"case_{number}")
    asked: list[int] = []

    class Gone(Box):
        def store(self, instances: Sequence[Instance]) -> Iterator[Outcome]:
            asked.append(len(instances))
            raise TransientError("it is gone.")

    pushed = push(tmp_path, Gone())
    assert (len(pushed.refused), asked) == (3, [3])


def test_an_interruption_leaves_a_receipt_of_what_went(tmp_path: Path):
    folder = write_result(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        push(tmp_path, Box(2, KeyboardInterrupt()))
    assert states(folder) == ["stored", "stored", "unsent"]


def test_nothing_goes_where_no_receipt_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_result(tmp_path)
    monkeypatch.setattr("ctpdeploy.atomic.require_room", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    pushed = push(tmp_path, box := Box())
    assert isinstance(pushed.refused["case_1"], UsageError)
    assert "cannot be written" in pushed.failures["case_1"]
    assert not box.kept


def test_commitment_is_asked_once_for_all_that_is_stored(tmp_path: Path):
    folders = [write_result(tmp_path, f"case_{number}") for number in (1, 2)]
    asked: list[list[str]] = []

    def commit(instances: Sequence[Instance]) -> Commitment:
        asked.append([one.uid for one in instances])
        return Commitment(
            state=CommitmentState.REFUSED, transaction="1.2", remark="no", failed={instances[-1].uid: "no"}
        )

    pushed = push(tmp_path, box := Box(5, 0xA900), commit=commit)
    assert asked == [box.kept]
    assert [one["commitment"] for one in receipt(folders[0])[0]["objects"]] == 3 * ["committed"]
    assert [one["commitment"] for one in receipt(folders[1])[0]["objects"]] == ["committed", "refused", "not asked"]
    assert [len(receipt(folder)) for folder in folders] == [1, 1]
    assert list(pushed.failures) == ["case_2"]


def test_what_an_archive_does_not_commit_to_is_a_failure(tmp_path: Path):
    write_result(tmp_path)

    def commit(instances: Sequence[Instance]) -> Commitment:
        return Commitment(state=CommitmentState.REFUSED, remark="no", failed={instances[0].uid: "no"})

    assert "does not commit to 1 of 3 objects" in push(tmp_path, Box(), commit=commit).failures["case_1"]


def test_commitment_that_cannot_be_asked_is_no_failure(tmp_path: Path):
    write_result(tmp_path)

    def commit(_: Sequence[Instance]) -> Commitment:
        raise PeerError("it is gone.")

    pushed = push(tmp_path, Box(), commit=commit)
    assert (pushed.failures, pushed.commitment.remark) == ({}, "it is gone.")
    assert pushed.commitment.state is CommitmentState.NOT_ASKED


def test_other_content_under_a_uid_that_the_archive_has_is_known(tmp_path: Path):
    folder = write_result(tmp_path)
    push(tmp_path, Box())
    file = folder / "dicom" / "report.dcm"
    file.write_bytes(file.read_bytes() + b"\xfc\xff\xfc\xffOB\0\0\0\0\0\0")
    seal(folder, {"ctp": 64 * "0"})
    (report,) = push(tmp_path, Box()).deliveries["case_1"].known
    assert report == next(one["sop_instance_uid"] for one in receipt(folder)[0]["objects"] if "report" in one["file"])


def test_no_name_of_a_patient_is_printed_logged_or_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    folder = write_result(tmp_path)
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(), dicom_node(Node(answer=lambda _, number: 0xC000 if number else 0)) as node:
        warnings.simplefilter("always")
        address = DicomAddress(title="ARCHIVE", host="127.0.0.1", port=node.port)
        pushed = push(tmp_path, DicomArchive(address, timeout=5.0))
    assert pushed.failures
    printed = capfd.readouterr()
    for text in (caplog.text, printed.out, printed.err, str(pushed.failures), (folder / "receipt.json").read_text()):
        assert PATIENT.split("^")[0] not in text
    assert not [record for record in caplog.records if record.name.startswith("pynetdicom")]
    assert "case 1 of 1: 1 of 3 objects stored, C-STORE" in caplog.text
    assert State.STORED in states(folder)


@pytest.mark.parametrize("protocol", ["C-STORE", "STOW-RS"])
def test_what_changes_while_another_is_sent_does_not_arrive(tmp_path: Path, protocol: str):
    folder = write_result(tmp_path / "out", objects=("overview", "segmentation"))
    file = folder / "dicom" / "segmentation.dcm"

    def change() -> None:
        file.write_bytes(file.read_bytes().replace(PATIENT.encode(), PATIENT.replace("ERIKA", "ERICA").encode()))

    node = Node(answer=lambda *_: change() or 0)
    web = Web(
        lambda uid, _: (
            change() or (200, f'{{"00081199":{{"Value":[{{"00081155":{{"Value":["{uid}"]}}}}]}}}}'.encode(), {})
        )
    )
    with dicom_node(node), web_service(web):
        if protocol == "C-STORE":
            archive: Archive = DicomArchive(DicomAddress(title="ARCHIVE", host="127.0.0.1", port=node.port))
        else:
            archive = WebArchive(WebAddress(host="127.0.0.1", port=web.port, path="", secure=False))
        pushed = push(tmp_path / "out", archive)
    assert "changed while it was sent" in pushed.failures["case_1"]
    assert len(node.order) + len(web.requests) == 1
    (delivery,) = receipt(folder)
    assert [one["state"] for one in delivery["objects"]] == ["stored", "unsent"]
