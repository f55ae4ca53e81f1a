"""Hostile senders: associations and instances that are broken in every way, while a good sender goes on sending.

Each goes to a node in a process of its own. After all of them it has made results of the good sender's studies alone,
has no thread, descriptor or memory more than before, and has served the good sender about as fast as ever.
"""

import shutil
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import CTImageStorage, MRImageStorage  # type: ignore[attr-defined]
from support.archives import Node as Archive
from support.archives import dicom_node
from support.nodes import NODE_TITLE, SENDER, calling, images_of, send_images, until

from campaign.node_process import free_port, ledger_of, node_process, write_settings
from ctpdeploy.phantom import PhantomConfig, write_dataset

__all__ = ["Attack", "Toll", "run_hostile"]

Attack = Callable[[int, Sequence[Path], np.random.Generator], None]
"""What is done, once, to a port, with images that may be spoiled and a generator."""


@dataclass(frozen=True, kw_only=True)
class Toll:
    """What the attacks cost.

    Attributes:
        attacks: number of each.
        studies: in the ledger, by their state.
        results: archived objects of studies that the good sender never sent.
        seconds: of the good sender's studies, before the attacks and during them.
        threads: before and after.
        descriptors: before and after.
        memory_mb: resident, before and after.
    """

    attacks: Counter[str]
    studies: Counter[str]
    results: int
    seconds: tuple[float, float]
    threads: tuple[int, int]
    descriptors: tuple[int, int]
    memory_mb: tuple[float, float]

    @property
    def slowdown(self) -> float:
        """How many times as long the good sender took."""
        return self.seconds[1] / self.seconds[0]

    def faults(self) -> list[str]:
        """What it should not have cost."""
        found = []
        if self.results:
            found.append(f"{self.results} objects of no good study")
        if self.threads[1] > self.threads[0] + 2:
            found.append(f"{self.threads[1] - self.threads[0]} threads more")
        if self.descriptors[1] > self.descriptors[0] + 5:
            found.append(f"{self.descriptors[1] - self.descriptors[0]} descriptors more")
        if self.memory_mb[1] > 1.2 * self.memory_mb[0] + 50:
            found.append(f"memory from {self.memory_mb[0]:.0f} to {self.memory_mb[1]:.0f} MB")
        return found


def noise(port: int, _: Sequence[Path], rng: np.random.Generator) -> None:
    """Bytes of no protocol."""
    with _connected(port) as line:
        line.sendall(rng.bytes(int(rng.integers(1, 4000))))


def broken_request(port: int, _: Sequence[Path], rng: np.random.Generator) -> None:
    """A request for an association with bytes changed, cut, or of another length than it says."""
    request = bytearray(_request())
    for place in rng.integers(0, len(request), int(rng.integers(1, 6))):
        request[int(place)] = int(rng.integers(256))
    with _connected(port) as line:
        line.sendall(bytes(request[: int(rng.integers(1, len(request) + 1))]))


def vanishing(port: int, _: Sequence[Path], rng: np.random.Generator) -> None:
    """Connections that are opened and closed, now and then by a reset."""
    line = _connected(port)
    if rng.random() < 0.5:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def stranger(port: int, images: Sequence[Path], rng: np.random.Generator) -> None:
    """A title that nobody knows, or one that calls somebody else."""
    called, title = (NODE_TITLE, "NOBODY") if rng.random() < 0.5 else ("NOBODY", SENDER)
    send_images(port, images[:1], title=title, called=called)


def endless_part(port: int, _: Sequence[Path], rng: np.random.Generator) -> None:
    """In an association, a part of a message that says that it is longer than anything."""
    with _connected(port) as line:
        line.sendall(_request())
        line.recv(6)
        line.sendall(b"\x04\x00" + struct.pack(">L", int(rng.integers(2**20, 2**32))) + rng.bytes(2000))


def broken_part(port: int, _: Sequence[Path], rng: np.random.Generator) -> None:
    """In an association, parts of messages that mean nothing."""
    with _connected(port) as line:
        line.sendall(_request())
        line.recv(6)
        for _ in range(int(rng.integers(1, 5))):
            body = rng.bytes(int(rng.integers(0, 400)))
            line.sendall(bytes([int(rng.integers(1, 9)), 0]) + struct.pack(">L", len(body)) + body)


def abort_in_an_instance(port: int, images: Sequence[Path], rng: np.random.Generator) -> None:
    """An object that breaks off."""
    entity = AE(ae_title=SENDER)
    entity.acse_timeout = entity.dimse_timeout = 5
    entity.add_requested_context(CTImageStorage)
    with calling(entity, port) as association:
        if association.is_established:
            message = C_STORE()
            message.MessageID, message.Priority = 1, 2
            message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = CTImageStorage, generate_uid()
            message.DataSet = BytesIO(images[0].read_bytes()[: int(rng.integers(200, 4000))])
            association.dimse.send_msg(message, association.accepted_contexts[0].context_id)
            association.abort()


def spoiled_object(port: int, images: Sequence[Path], rng: np.random.Generator) -> None:
    """An object whose bytes are changed, cut or moved, in a well-formed message."""
    entity = AE(ae_title=SENDER)
    entity.acse_timeout = entity.dimse_timeout = 10
    entity.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
    entity.add_requested_context(MRImageStorage, "1.2.840.10008.1.2.1")
    path = images[int(rng.integers(len(images)))]
    content = bytearray(path.read_bytes())
    start = 144 + int.from_bytes(content[140:144], "little")
    body = content[start:]
    for place in rng.integers(0, min(len(body), 1500), int(rng.integers(1, 20))):
        body[int(place)] = int(rng.integers(256))
    if rng.random() < 0.3:
        del body[int(rng.integers(10, len(body))) :]
    with calling(entity, port) as association:
        if not association.is_established:
            return
        message = C_STORE()
        message.MessageID, message.Priority = 1, 2
        message.AffectedSOPClassUID = CTImageStorage
        message.AffectedSOPInstanceUID = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        message.DataSet = BytesIO(bytes(body))
        association.dimse.send_msg(message, association.accepted_contexts[0].context_id)
        association.dimse.get_msg(block=True)


def two_patients(port: int, images: Sequence[Path], rng: np.random.Generator) -> None:
    """A whole scan of which one image is another patient's, under UIDs of its own."""
    study, series = generate_uid(), generate_uid()
    changed = []
    odd = int(rng.integers(len(images)))
    folder = images[0].parent / f".two-{rng.integers(2**30)}"
    folder.mkdir()
    for number, path in enumerate(images):
        data = dcmread(path)
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = study, series, generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.PatientID = "another" if number == odd else data.PatientID
        data.save_as(folder / str(number))
        changed.append(folder / str(number))
    send_images(port, changed)
    shutil.rmtree(folder)


ATTACKS: tuple[tuple[Attack, float], ...] = (
    (noise, 1.0),
    (broken_request, 2.0),
    (vanishing, 1.0),
    (stranger, 1.0),
    (endless_part, 1.0),
    (broken_part, 1.5),
    (abort_in_an_instance, 1.0),
    (spoiled_object, 3.0),
    (two_patients, 0.02),
)
"""Each with how often it is chosen."""


def run_hostile(
    bundle: Path, work: Path, *, count: int, seed: int, on_attack: Callable[[int, str], None] = lambda *_: None
) -> Toll:
    """Attack a node.

    Args:
        bundle: of the networks.
        work: folder for everything, removed at the end if all is well.
        count: of attacks.
        seed: of them.
        on_attack: called with the number and the name of each.
    """
    shutil.rmtree(work, ignore_errors=True)
    good = max(count // 100, 2)
    patient = PhantomConfig(size=64, slices=2, frames=20)
    write_dataset(work / "studies", cases=2 + good, seed=seed, config=patient, layout="one-series")
    folders = sorted(path for path in (work / "studies").iterdir() if path.is_dir())
    victims, *sent = (images_of(folder) for folder in folders)
    scan = [path for path in victims if b"PHANTOM CT PERFUSION" in path.read_bytes()]
    rng = np.random.default_rng(seed)
    weights = np.array([weight for _, weight in ATTACKS])
    attacks: Counter[str] = Counter()
    usual: list[float] = []
    attacked: list[float] = []
    with dicom_node(Archive()) as archive:
        port = free_port()
        settings = write_settings(work, bundle, port, archive.port, "[limits]\nstalled_s = 2.0\n")
        with node_process(settings) as child:
            until(lambda: "listens on" in (work / "log").read_text())
            usual.append(_timed(port, sent[0]))
            until(lambda: archive.received)
            before = _state(child.pid)
            for number in range(count):
                attack = ATTACKS[int(rng.choice(len(ATTACKS), p=weights / weights.sum()))][0]
                attacks[attack.__name__] += 1
                with suppress(OSError, RuntimeError, ValueError, AttributeError, IndexError):
                    attack(port, scan, rng)
                on_attack(number, attack.__name__)
                if number % (count // good) == 0 and len(attacked) < good:
                    attacked.append(_timed(port, sent[1 + len(attacked)]))
            usual.append(_timed(port, sent[0]))
            expected = {str(dcmread(images[0]).StudyInstanceUID) for images in sent}
            until(lambda: _is_calm(work, len(attacked) + 1), seconds=300.0)
            time.sleep(4.0)  # twice as long as a connection may say nothing
            after = _state(child.pid)
            child.send_signal(signal.SIGTERM)
            child.wait()
        ledger = ledger_of(work)
        studies = Counter(study.state.value for study in ledger.studies())
        ledger.close()
        strange = sum(_study_in(content) not in expected for content in archive.received.values())
    toll = Toll(
        attacks=attacks,
        studies=studies,
        results=strange,
        seconds=(float(np.median(usual)), float(np.median(attacked))),
        threads=(before[0], after[0]),
        descriptors=(before[1], after[1]),
        memory_mb=(before[2], after[2]),
    )
    if not toll.faults():
        shutil.rmtree(work)
    return toll


def _timed(port: int, images: Sequence[Path]) -> float:
    begun, left = time.perf_counter(), list(images)
    while left:
        statuses = send_images(port, left)
        left = [path for path, status in zip(left, statuses, strict=True) if status] if statuses else left
    return time.perf_counter() - begun


def _is_calm(work: Path, good: int) -> bool:
    ledger = ledger_of(work)
    try:
        states = Counter(study.state.value for study in ledger.studies())
        return states["done"] >= good and not {"receiving", "complete", "computing"} & set(states)
    finally:
        ledger.close()


def _state(process: int) -> tuple[int, int, float]:
    """Threads, descriptors and MB of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
    return int(values["Threads"]), len(list(Path(f"/proc/{process}/fd").iterdir())), int(values["VmRSS"]) / 1024


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def _request() -> bytes:
    """A request for an association, right to the byte."""
    sent: list[bytes] = []
    from pynetdicom import evt

    with socket.create_server(("127.0.0.1", 0)) as server:
        entity = AE(ae_title=SENDER)
        entity.add_requested_context(CTImageStorage)
        entity.acse_timeout = entity.connection_timeout = 0.05
        handlers = [(evt.EVT_DATA_SENT, lambda event: sent.append(event.data))]
        entity.associate("127.0.0.1", server.getsockname()[1], ae_title=NODE_TITLE, evt_handlers=handlers)
    return sent[0]


def _study_in(content: bytes) -> str:
    start = content.index(b"\x20\x00\x0d\x00UI") + 8
    return content[start : start + int.from_bytes(content[start - 2 : start], "little")].rstrip(b"\0").decode()
