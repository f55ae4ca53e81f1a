"""Node kills: a node ended by SIGKILL at any moment while scanners send and the archive is down now and then.

Senders behave as scanners do: what was not acknowledged is sent again. When all is done every study's result has to be
in the archive, as ``infer`` makes it, and nothing may lie in the node's folder that its ledger does not know.
"""

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.filereader import read_dataset
from support.archives import Node as Archive
from support.archives import dicom_node
from support.nodes import images_of, send_images, until

from campaign.node_process import free_port, ledger_of, node_process, write_settings
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Pipeline, find_cases, infer_cases
from ctpdeploy.service.node.ledger import DeliveryState, StudyState

FAILURES = ("LOST", "OTHER", "TWICE", "LEFT")
"""A result that never came; one that is another than undisturbed; one sent anew as another object; files unknown."""

SENDERS = 3


def run_node_kills(
    bundle: Path,
    work: Path,
    *,
    count: int,
    studies: int,
    seed: int,
    on_kill: Callable[[int, int], None] = lambda *_: None,
) -> Counter[str]:
    """Kill a node, again and again, during a stream of studies.

    Args:
        bundle: of the networks.
        work: folder for everything, removed at the end if nothing failed.
        count: of kills.
        studies: number of them.
        seed: of the patients and of the moments.
        on_kill: called with the number of a kill, and of the results that are in the archive.

    Returns:
        Verdicts, ``well`` or one of ``FAILURES``, one a study, and one for what is left.
    """
    shutil.rmtree(work, ignore_errors=True)
    patient = PhantomConfig(size=64, slices=2, frames=20)
    write_dataset(work / "studies", cases=studies, seed=seed, config=patient, layout="one-series")
    sent = [images_of(folder) for folder in sorted((work / "studies").iterdir()) if folder.is_dir()]
    rng = np.random.default_rng(seed)
    down = threading.Event()
    with dicom_node(Archive(answer=lambda *_: 0xA700 if down.is_set() else 0x0000)) as archive:
        port = free_port()
        settings = write_settings(work, bundle, port, archive.port)
        threads = [threading.Thread(target=_send, args=(port, sent[n::SENDERS])) for n in range(SENDERS)]
        for thread in threads:
            thread.start()
        for number in range(count):
            (down.set if rng.random() < 1 / 3 else down.clear)()
            with node_process(settings) as child:
                time.sleep(float(rng.uniform(0.5, 6.0)))
                os.killpg(child.pid, signal.SIGKILL)
            on_kill(number, len(archive.received))
        down.clear()
        with node_process(settings) as child:
            for thread in threads:
                thread.join()
            until(lambda: _all_done(work, studies), seconds=600.0)
            child.terminate()
            child.wait()
        verdicts = Counter(_judged(bundle, work, archive))
    verdicts[_left(work)] += 1
    if not set(verdicts) & set(FAILURES):
        shutil.rmtree(work)
    return verdicts


def _send(port: int, studies: Sequence[Sequence[Path]]) -> None:
    """A scanner: study after study, what was not acknowledged again, in associations of some images each."""
    for images in studies:
        left = list(images)
        while left:
            some = left[:25]
            try:
                statuses = send_images(port, some)
            except (OSError, RuntimeError, ValueError):
                statuses = []
            taken = {path for path, status in zip(some, statuses, strict=False) if status == 0x0000}
            left = [path for path in left if path not in taken]
            if not taken:
                time.sleep(0.3)


def _all_done(work: Path, studies: int) -> bool:
    if not (work / "node" / "ledger.sqlite").exists():
        return False
    ledger = ledger_of(work)
    try:
        known, deliveries = ledger.studies(), ledger.deliveries()
        return (
            len(known) == studies
            and all(study.state in (StudyState.DONE, StudyState.FAILED) for study in known)
            and all(one.state is not DeliveryState.WAITING for one in deliveries)
        )
    finally:
        ledger.close()


def _judged(bundle: Path, work: Path, archive: Archive) -> Iterator[str]:
    """Each study's results in the archive, against those of ``infer``."""
    with Pipeline.open(bundle, backend="ort-cpu") as pipeline:
        infer_cases(pipeline, find_cases(work / "studies"), work / "right")
    for result in sorted(path for path in (work / "right").iterdir() if (path / "dicom").is_dir()):
        verdict = "well"
        for path in sorted((result / "dicom").iterdir()):
            ours = dcmread(path)
            content = archive.received.get(str(ours.SOPInstanceUID))
            if content is None:
                verdict = "LOST"
                break
            syntax = ours.file_meta.TransferSyntaxUID
            theirs = read_dataset(BytesIO(content), syntax.is_implicit_VR, syntax.is_little_endian)
            if path.stem == "segmentation" and theirs["PixelData"].value != ours["PixelData"].value:
                verdict = "OTHER"
        yield verdict
    expected = sum(len(list((path / "dicom").iterdir())) for path in (work / "right").iterdir())
    if len(archive.received) > expected:
        yield "TWICE"


def _left(work: Path) -> str:
    """Whether all in the node's folder is known to its ledger."""
    ledger = ledger_of(work)
    known = {study.key for study in ledger.studies()}
    names = {result.name for key in known for result in ledger.results(key)}
    ledger.close()
    spool, results = work / "node" / "spool", work / "node" / "results"
    strange = [path for path in spool.iterdir() if path.name not in {*known, "incoming"}]
    strange += [path for path in results.iterdir() if path.name not in names]
    strange += list((spool / "incoming").iterdir())
    strange += [path for key in known for path in (spool / key).iterdir() if path.name not in ("images", "beside")]
    return "LEFT" if strange else "well"
