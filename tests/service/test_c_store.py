"""C-STORE to a node of pynetdicom in this process."""

import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AllStoragePresentationContexts, build_context, evt
from support.archives import Node, dicom_node
from support.sealed_results import CLASSES, data_set, write_object

from ctpdeploy.errors import PeerError, UsageError
from ctpdeploy.service import DicomAddress, DicomArchive, Instance, Outcome, Patience, State, read_instance, send
from ctpdeploy.service.archive import TransientError

# pynetdicom 3.0.4 leaves the socket of a connection that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left to the collector is collected here, where it is expected."""
    yield
    gc.collect()


@pytest.fixture
def instances(tmp_path: Path) -> list[Instance]:
    """Three objects, two of them of one class."""
    for name, kind in {"a": "overview", "b": "segmentation", "c": "overview"}.items():
        write_object(tmp_path / f"{name}.dcm", CLASSES[kind])
    return [read_instance(tmp_path / f"{name}.dcm") for name in "abc"]


def archive_at(node: Node, *, title: str = "ARCHIVE", timeout: float = 5.0, calling: str = "US") -> DicomArchive:
    return DicomArchive(DicomAddress(title=title, host="127.0.0.1", port=node.port), title=calling, timeout=timeout)


def deliver(archive: DicomArchive, instances: list[Instance], tries: int = 3) -> list[Outcome]:
    return send(archive, instances, patience=Patience(tries=tries, first_wait=0.01))


def states(outcomes: list[Outcome]) -> list[str]:
    return [str(one.state) for one in outcomes]


def free_port() -> int:
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


def test_objects_arrive_byte_for_byte_in_contexts_of_their_own(instances: list[Instance]):
    with dicom_node(Node()) as node:
        assert states(deliver(archive_at(node), instances)) == 3 * ["stored"]
    assert node.received == {one.uid: data_set(one.path) for one in instances}
    assert node.order == [one.uid for one in instances]
    explicit = [str(ExplicitVRLittleEndian)]
    assert node.contexts == [[(CLASSES["overview"], explicit), (CLASSES["segmentation"], explicit)]]
    assert node.titles == ["US"]


def test_what_is_sent_twice_is_the_same(instances: list[Instance]):
    with dicom_node(Node()) as node:
        for _ in range(2):
            assert states(deliver(archive_at(node), instances)) == 3 * ["stored"]
    assert len(node.received) == 3


def test_nothing_is_transcoded_for_a_node_that_does_not_take_its_syntax(tmp_path: Path):
    write_object(tmp_path / "d" / "a.dcm", syntax=JPEG2000Lossless)
    write_object(tmp_path / "d" / "b.dcm", syntax=ExplicitVRLittleEndian)
    write_object(tmp_path / "d" / "c.dcm", syntax=ImplicitVRLittleEndian)
    found = [read_instance(tmp_path / "d" / f"{name}.dcm") for name in "abc"]
    with dicom_node(Node(), syntaxes=[ExplicitVRLittleEndian]) as node:
        outcomes = deliver(archive_at(node), found)
    assert states(outcomes) == ["refused", "stored", "refused"]
    assert "takes no objects of its SOP class" in outcomes[0].remark
    assert len(node.contexts) == 1  # and for good


def test_a_node_that_takes_nothing_refuses_all_for_good(instances: list[Instance]):
    with dicom_node(Node(), classes=[CLASSES["tmax"]]) as node:
        assert states(deliver(archive_at(node), instances)) == 3 * ["refused"]
    assert len(node.contexts) == 1


def test_more_contexts_than_an_association_holds_are_several(tmp_path: Path):
    found = []
    classes = [str(one.abstract_syntax) for one in AllStoragePresentationContexts[:130]]
    for number, kind in enumerate(classes):
        write_object(tmp_path / "d" / f"{number}.dcm", sop_class=kind)
        found.append(read_instance(tmp_path / "d" / f"{number}.dcm"))
    with dicom_node(Node(), classes=[classes[33], classes[129]]) as node:
        outcomes = deliver(archive_at(node), found)
    assert [len(wanted) for wanted in node.contexts] == [128, 2]
    assert [number for number, one in enumerate(outcomes) if one.state is State.STORED] == [33, 129]
    assert states(outcomes).count("refused") == 128


def test_the_wrong_title_is_refused_in_a_sentence_and_once(instances: list[Instance]):
    with dicom_node(Node()) as node, pytest.raises(PeerError, match=r"WRONG@.* has another AE title") as error:
        deliver(archive_at(node, title="WRONG"), instances)
    assert not isinstance(error.value, TransientError)


def test_a_node_that_does_not_know_us_says_which_title(instances: list[Instance]):
    with (
        dicom_node(Node(rejection=(1, 1, 3))) as node,
        pytest.raises(PeerError, match=r"does not know the AE title US: .* --aet"),
    ):
        deliver(archive_at(node), instances)


@pytest.mark.parametrize(("rejection", "tries"), [((1, 1, 1), 1), ((2, 3, 2), 3)])
def test_a_rejection_for_now_is_tried_again_and_one_for_good_is_not(
    instances: list[Instance], rejection: tuple[int, int, int], tries: int
):
    with dicom_node(Node(rejection=rejection)) as node, pytest.raises(PeerError, match="rejects the association"):
        deliver(archive_at(node), instances, tries=3)
    assert len(node.contexts) == tries


def test_out_of_resources_is_asked_again(instances: list[Instance]):
    with dicom_node(Node(answer=lambda _, number: 0xA700 if number in (1, 3) else 0)) as node:
        assert states(deliver(archive_at(node), instances)) == 3 * ["stored"]
    first, second, third = (one.uid for one in instances)
    assert node.order == [first, second, third, second, second]


@pytest.mark.parametrize("status", [0xA900, 0xC001, 0x0122])
def test_what_can_never_be_stored_is_asked_once(instances: list[Instance], status: int):
    with dicom_node(Node(answer=lambda _, number: status if number == 0 else 0)) as node:
        outcomes = deliver(archive_at(node), instances)
    assert states(outcomes) == ["refused", "stored", "stored"]
    assert outcomes[0].status == f"{status:04x}"
    assert len(node.order) == 3


def test_a_warning_is_stored_and_said(instances: list[Instance]):
    with dicom_node(Node(answer=lambda *_: 0xB000)) as node:
        outcomes = deliver(archive_at(node), instances)
    assert {(one.state, one.status, one.remark) for one in outcomes} == {
        (State.STORED, "b000", "elements were coerced")
    }


def test_an_association_that_is_aborted_goes_on_where_it_was(instances: list[Instance]):
    def abort(event: evt.Event, number: int) -> int:
        if number == 1:
            event.assoc.abort()
        return 0

    with dicom_node(Node(answer=abort)) as node:
        assert states(deliver(archive_at(node), instances)) == 3 * ["stored"]
    assert node.order[0] == instances[0].uid
    assert node.order.count(instances[0].uid) == 1
    assert len(node.contexts) == 2


def test_a_node_that_never_answers_an_object_is_left(instances: list[Instance]):
    waiting = threading.Event()

    def stall(_: evt.Event, number: int) -> int:
        if number == 1:
            waiting.wait(60)
        return 0

    with dicom_node(Node(answer=stall)) as node:
        try:
            outcomes = deliver(archive_at(node, timeout=1.0), instances, tries=5)
        finally:
            waiting.set()
    assert states(outcomes) == 3 * ["stored"]
    assert node.order.count(instances[1].uid) > 1


@contextmanager
def silent_port() -> Iterator[int]:
    """Takes connections, and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_a_port_that_speaks_no_dicom_is_an_error(instances: list[Instance]):
    with silent_port() as port, pytest.raises(TransientError, match="answers no association"):
        deliver(archive_at(Node(port=port), timeout=0.3), instances, tries=1)


def test_a_node_that_is_not_there_is_an_error_after_all_tries(instances: list[Instance]):
    waits: list[float] = []
    with pytest.raises(TransientError, match="cannot be reached \\(connection refused\\)"):
        send(archive_at(Node(port=free_port())), instances, sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0]


def test_a_node_that_comes_late_gets_all(instances: list[Instance]):
    node = Node(port=free_port())
    with dicom_node(Node(), port=0) as late:

        def start(_: float) -> None:
            archive._place = DicomAddress(title="ARCHIVE", host="127.0.0.1", port=late.port)

        archive = archive_at(node)
        assert states(send(archive, instances, sleep=start)) == 3 * ["stored"]


def test_a_name_of_no_machine_is_an_error_at_once(instances: list[Instance]):
    archive = DicomArchive(DicomAddress(title="A", host="no-such-machine.invalid", port=104))
    with pytest.raises(PeerError, match=r"stands for no machine|cannot be reached"):
        deliver(archive, instances, tries=1)


def test_small_writes_do_not_wait_for_each_other(instances: list[Instance]):
    contexts = [build_context(instances[0].sop_class)]
    with dicom_node(Node()) as node, archive_at(node)._association(contexts) as association:
        assert association.dul.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_our_own_title_has_to_be_one():
    with pytest.raises(UsageError, match="no AE title"):
        DicomArchive(DicomAddress(title="A", host="127.0.0.1", port=104), title=" ")


@pytest.mark.parametrize("left", ["at its end", "in the middle"])
def test_threads_end_with_the_association(instances: list[Instance], left: str):
    with dicom_node(Node()) as node:
        before = threading.active_count()
        outcomes = archive_at(node).store(instances)
        if left == "at its end":
            assert len(list(outcomes)) == 3
        else:
            next(outcomes)
            outcomes.close()  # type: ignore[attr-defined]
        deadline = threading.Event()
        for _ in range(100):
            if threading.active_count() <= before:
                break
            deadline.wait(0.05)
        assert threading.active_count() <= before
