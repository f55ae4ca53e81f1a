"""Storage commitment: not offered, asked, committed, refused, here and in an association that the archive opens."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.archives import Node, dicom_node
from support.sealed_results import write_object

from ctpdeploy.errors import UsageError
from ctpdeploy.service import CommitmentState, DicomAddress, DicomArchive, Instance, read_instance

SOON = 5.0
"""s to wait for a report that will come."""


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    for name in "ab":
        write_object(tmp_path / f"{name}.dcm")
    return [read_instance(tmp_path / f"{name}.dcm") for name in "ab"]


def archive_at(node: Node) -> DicomArchive:
    return DicomArchive(DicomAddress(title="ARCHIVE", host="127.0.0.1", port=node.port), timeout=5.0)


def report(request: Dataset, keep: Callable[[int], bool] = lambda _: True, transaction: str = "") -> Dataset:
    """On a request, committing to some of its objects."""
    answer = Dataset()
    answer.TransactionUID = transaction or request.TransactionUID
    kept, failed = [], []
    for number, item in enumerate(request.ReferencedSOPSequence):
        copy = Dataset()
        copy.ReferencedSOPClassUID, copy.ReferencedSOPInstanceUID = (
            item.ReferencedSOPClassUID,
            item.ReferencedSOPInstanceUID,
        )
        if not keep(number):
            copy.FailureReason = 0x0112
        (kept if keep(number) else failed).append(copy)
    if kept:
        answer.ReferencedSOPSequence = kept
    if failed:
        answer.FailedSOPSequence = failed
    return answer


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def test_a_node_without_it_does_not_offer_it(instances: list[Instance]):
    with dicom_node(Node()) as node:
        word = archive_at(node).commit(instances, wait=SOON)
    assert (word.state, word.transaction) == (CommitmentState.NOT_OFFERED, "")


def test_a_report_in_the_same_association_commits(instances: list[Instance]):
    asked: list[Dataset] = []

    def answer(request: Dataset) -> Dataset:
        asked.append(request)
        return report(request)

    with dicom_node(Node(report=answer)) as node:
        word = archive_at(node).commit(instances, wait=SOON)
    assert word.state is CommitmentState.COMMITTED
    assert word.transaction == asked[0].TransactionUID
    wanted = [(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) for item in asked[0].ReferencedSOPSequence]
    assert wanted == [(one.sop_class, one.uid) for one in instances]
    assert node.report_status == [0x0000]


def test_a_report_in_a_new_association_commits(instances: list[Instance]):
    port = free_port()
    with dicom_node(Node(report=report, reports_to=port)) as node:
        word = archive_at(node).commit(instances, wait=SOON, port=port)
    assert word.state is CommitmentState.COMMITTED
    assert node.report_status == [0x0000]
    with pytest.raises(OSError, match="refused"):  # nobody listens any longer
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_without_a_report_it_was_asked(instances: list[Instance]):
    with dicom_node(Node(report=lambda _: None)) as node:
        word = archive_at(node).commit(instances, wait=0.2)
    assert word.state is CommitmentState.ASKED
    assert word.of(instances[0].uid) is CommitmentState.ASKED


def test_a_report_on_another_request_is_none(instances: list[Instance]):
    with dicom_node(Node(report=lambda request: report(request, transaction="1.2.3"))) as node:
        assert archive_at(node).commit(instances, wait=2.0).state is CommitmentState.ASKED
    assert node.report_status == [0x0115]


def test_a_refused_request_is_refused(instances: list[Instance]):
    with dicom_node(Node(action_status=0x0213)) as node:
        word = archive_at(node).commit(instances, wait=SOON)
    assert (word.state, word.remark, dict(word.failed)) == (CommitmentState.REFUSED, "out of resources (0213)", {})


def test_objects_that_it_does_not_commit_to_are_named(instances: list[Instance]):
    with dicom_node(Node(report=lambda request: report(request, lambda number: number == 0))) as node:
        word = archive_at(node).commit(instances, wait=SOON)
    assert word.state is CommitmentState.REFUSED
    assert dict(word.failed) == {instances[1].uid: "it has no such object (0112)"}
    assert [word.of(one.uid) for one in instances] == [CommitmentState.COMMITTED, CommitmentState.REFUSED]


def test_an_object_that_the_report_leaves_out_is_not_committed(instances: list[Instance]):
    def forgetful(request: Dataset) -> Dataset:
        answer = report(request)
        del answer.ReferencedSOPSequence[0]
        return answer

    with dicom_node(Node(report=forgetful)) as node:
        word = archive_at(node).commit(instances, wait=SOON)
    assert dict(word.failed) == {instances[0].uid: "its report does not name the object"}


def test_an_archive_that_hangs_up_is_not_waited_for(instances: list[Instance]):
    node = Node(report=lambda _: None)
    action = node.on_action

    def hang_up(event: object) -> tuple[int, None]:
        event.assoc.abort()  # type: ignore[attr-defined]
        return action(event)  # type: ignore[arg-type]

    node.on_action = hang_up  # type: ignore[method-assign]
    with dicom_node(node):
        word = archive_at(node).commit(instances, wait=600.0)
    assert word.state in (CommitmentState.REFUSED, CommitmentState.ASKED)


def test_a_port_that_is_taken_is_a_usage_error(instances: list[Instance]):
    with dicom_node(Node(report=report)) as node, socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        with pytest.raises(UsageError, match="--commit-port"):
            archive_at(node).commit(instances, wait=SOON, port=taken.getsockname()[1])
