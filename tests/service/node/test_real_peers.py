"""A node with peers that others wrote: Orthanc as scanner and as archive, DCMTK as scanner."""

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support import orthanc
from support.nodes import NODE_TITLE, SENDER, node_config, running_node, until
from support.orthanc import Orthanc, running_orthanc

from ctpdeploy.service.node import Node, StudyState
from ctpdeploy.service.node.ledger import DeliveryState
from ctpdeploy.service.node.settings import ArchiveConfig, ListenConfig, SenderConfig


def delivered(node: Node) -> bool:
    found = node.ledger.deliveries()
    return bool(found) and all(one.state is DeliveryState.DELIVERED for one in found)


def post(archive: Orthanc, path: str, body: bytes) -> Any:
    """What Orthanc answers."""
    request = urllib.request.Request(
        orthanc.URL + path, data=body, headers={"Authorization": orthanc.TOKEN}, method="POST"
    )

    def fetch() -> Any:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    return archive.inside(fetch)


@pytest.mark.slow
def test_orthanc_sends_a_study_and_gets_its_results(tmp_path: Path, bundle_folder: Path, images: list[Path]):
    """And sends it again when they have made it grow, as where it passes on all that is stable: once is enough."""
    config = node_config(
        tmp_path / "node",
        bundle=str(bundle_folder),
        listen=ListenConfig(port=orthanc.REPORT_PORT),
        senders=(SenderConfig(title=orthanc.TITLE, address="127.0.0.1"),),
        archives=(ArchiveConfig(address=f"{orthanc.TITLE}@127.0.0.1:{orthanc.DICOM_PORT}"),),
    )
    with running_orthanc(tmp_path) as archive:

        def trial() -> None:
            with running_node(config) as node:
                (study,) = archive.json("/studies")
                post(archive, "/modalities/known/store", study.encode())
                until(lambda: delivered(node))
                kinds = {one["MainDicomTags"].get("Modality") for one in archive.json("/series?expand")}
                assert kinds >= {"CT", "SEG", "SR", "OT"}
                count = archive.json("/statistics")["CountInstances"]
                post(archive, "/modalities/known/store", study.encode())
                (row,) = node.ledger.studies()
                assert row.state is StudyState.DONE
                assert [result.version for result in node.ledger.results(row.key)] == [1]
                assert archive.json("/statistics")["CountInstances"] == count

        for path in images:
            post(archive, "/instances", path.read_bytes())
        archive.inside(trial)


def test_dcmtk_sends_a_study(tmp_path: Path, bundle_folder: Path, scan: list[Path]):
    storescu = shutil.which("storescu", path="/usr/bin:/usr/local/bin")
    if not storescu:
        pytest.skip("DCMTK is not installed: apt-get install dcmtk")
    config = node_config(tmp_path / "node", bundle=str(bundle_folder))
    with running_node(config) as node:
        port = str(node.listener.port)
        command = [storescu, "-aet", SENDER, "-aec", NODE_TITLE, "127.0.0.1", port, *map(str, scan)]
        subprocess.run(command, check=True, capture_output=True)
        until(lambda: any(study.state is StudyState.DONE for study in node.ledger.studies()))
        wrong = [storescu, "-aet", "CT9", "-aec", NODE_TITLE, "127.0.0.1", port, str(scan[0])]
        assert subprocess.run(wrong, check=False, capture_output=True).returncode != 0
