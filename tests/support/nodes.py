"""Nodes of the tests: studies to send them, and a node that runs in a thread."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from ctpdeploy.runtime.dicom.header import read_header
from ctpdeploy.runtime.dicom.tags import Tag
from ctpdeploy.service.node import Node, NodeConfig
from ctpdeploy.service.node.settings import CompleteConfig, ListenConfig, SenderConfig

__all__ = [
    "NODE_TITLE",
    "SENDER",
    "calling",
    "images_of",
    "node_config",
    "running_node",
    "send_all",
    "send_images",
    "until",
]

NODE_TITLE, SENDER = "CTPDEPLOY", "CT1"


def images_of(folder: Path) -> list[Path]:
    """The DICOM objects in a folder, in the order of their times."""
    found = []
    for path in sorted(folder.rglob("*")):
        header = read_header(path) if path.is_file() and path.read_bytes()[128:132] == b"DICM" else None
        if header is not None and header.text(Tag.SERIES):
            found.append((header.text(Tag.ACQUISITION_DATE_TIME), header.text(Tag.POSITION), path))
    return [path for *_, path in sorted(found)]


def node_config(folder: Path, **settings: Any) -> NodeConfig:
    """Settings of a node on a free port that lets this machine in, and waits for little."""
    return NodeConfig(
        **{
            "bundle": "none",
            "folder": str(folder),
            "backend": "ort-cpu",
            "listen": ListenConfig(port=0),
            "senders": (SenderConfig(title=SENDER, address="127.0.0.1"),),
            "complete": CompleteConfig(settle_s=0.2, quiet_s=2.0),
            **settings,
        }
    )


@contextmanager
def running_node(config: NodeConfig, **options: Any) -> Iterator[Node]:
    """A node, opened and run in a thread of its own."""
    made: list[Node] = []
    faults: list[BaseException] = []

    def work() -> None:
        try:
            made.append(Node(config, **options))
            made[0].run()
        except BaseException as error:  # noqa: BLE001  raised again below
            faults.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until(lambda: made or faults)
    try:
        if not faults:
            yield made[0]
    finally:
        if made:
            made[0].stop()
        thread.join()
        if faults:
            raise faults[0]


def send_images(port: int, images: Sequence[Path], *, title: str = SENDER, called: str = NODE_TITLE) -> list[int]:
    """Send objects in one association; the status of each, -1 where there was no answer."""
    from pydicom import dcmread

    entity = AE(ae_title=title)
    entity.connection_timeout = entity.acse_timeout = 5
    entity.dimse_timeout = 10
    sets = [dcmread(path) for path in images]
    for kind in dict.fromkeys((str(one.SOPClassUID), str(one.file_meta.TransferSyntaxUID)) for one in sets):
        entity.add_requested_context(*kind)
    with calling(entity, port, called=called) as association:
        if not association.is_established:
            return []
        return [_status(association, one) for one in sets]


def send_all(port: int, images: Sequence[Path]) -> None:
    """Send objects as scanners do: what was not acknowledged is sent again.

    Raises:
        TimeoutError: some never was.
    """
    left = list(images)
    for _ in range(5):
        statuses = send_images(port, left)
        left = [path for path, status in zip(left, statuses, strict=True) if status] if statuses else left
        if not left:
            return
    raise TimeoutError(f"{len(left)} objects were never acknowledged")


def _status(association: Any, one: Dataset) -> int:
    try:
        return int(getattr(association.send_c_store(one), "Status", -1))
    except RuntimeError:  # it was cut
        return -1


@contextmanager
def calling(entity: AE, port: int, *, called: str = NODE_TITLE, **options: Any) -> Iterator[Any]:
    """An association, or what came of it; its socket is closed, which pynetdicom leaves open if the peer hung up."""
    opened: list[Any] = []
    handlers = [(evt.EVT_CONN_OPEN, lambda event: opened.append(event.assoc.dul.socket.socket))]
    association = entity.associate("127.0.0.1", port, ae_title=called, evt_handlers=handlers, **options)
    try:
        yield association
        if association.is_established:
            association.release()
    finally:
        for one in opened:
            one.close()


def until(true: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until something is true.

    Raises:
        TimeoutError: it never was.
    """
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not come")
        time.sleep(0.02)
