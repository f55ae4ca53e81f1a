"""The soak of a node: study after study through it, while memory, descriptors, threads and disk may not grow."""

import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid
from support.archives import Node as Archive
from support.archives import dicom_node
from support.nodes import images_of, send_images, until

from campaign.node_process import free_port, ledger_of, node_process, write_settings
from campaign.soak import Reading
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.service.node.ledger import DeliveryState, StudyState

__all__ = ["MOST_MB", "soak_node"]

MOST_MB = 60.0
"""Of images and results that the node keeps."""


def soak_node(
    bundle: Path, work: Path, *, count: int, seed: int, every: int = 10, on_reading: Callable[[Reading], None]
) -> tuple[list[Reading], list[float]]:
    """Readings of a node as studies go through, and the MB that its folder has.

    Raises:
        AssertionError: a study has no result in the archive.
    """
    shutil.rmtree(work, ignore_errors=True)
    patient = PhantomConfig(size=64, slices=2, frames=20)
    write_dataset(work / "study", cases=1, seed=seed, config=patient, layout="one-series")
    scan = [path for path in images_of(work / "study") if b"PHANTOM CT PERFUSION" in path.read_bytes()]
    readings, disk = [], []
    with dicom_node(Archive()) as archive:
        port = free_port()
        limits = f"[retention]\ngigabytes = {MOST_MB / 1000}\n"
        settings = write_settings(work, bundle, port, archive.port, limits)
        with node_process(settings) as child:
            until(lambda: "listens on" in (work / "log").read_text())
            for number in range(1, count + 1):
                _send_another(scan, work / "sent", port)
                if number % every == 0:
                    until(lambda: _is_settled(work), seconds=300.0)
                    readings.append(Reading.now(number, child.pid))
                    disk.append(_mb(work / "node"))
                    on_reading(readings[-1])
            assert len({_series(content) for content in archive.received.values()}) >= count
            child.send_signal(signal.SIGTERM)
            child.wait()
    shutil.rmtree(work)
    return readings, disk


def _send_another(scan: list[Path], folder: Path, port: int) -> None:
    """The scan as another study, sent until all of it was taken."""
    folder.mkdir(exist_ok=True)
    study, series, left = generate_uid(), generate_uid(), []
    for number, path in enumerate(scan):
        data = dcmread(path)
        data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = study, series, generate_uid()
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(folder / str(number))
        left.append(folder / str(number))
    while left:
        statuses = send_images(port, left)
        left = [path for path, status in zip(left, statuses, strict=True) if status] if statuses else left
        if left:
            time.sleep(0.5)


def _is_settled(work: Path) -> bool:
    ledger = ledger_of(work)
    try:
        return all(study.state is StudyState.DONE for study in ledger.studies()) and all(
            one.state is DeliveryState.DELIVERED for one in ledger.deliveries()
        )
    finally:
        ledger.close()


def _series(content: bytes) -> bytes:
    start = content.index(b"\x20\x00\x0d\x00UI") + 8
    return content[start : start + int.from_bytes(content[start - 2 : start], "little")]


def _mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
