"""A node at work: from images to results in an archive, with real networks."""

import gzip
import json
import socket
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from pydicom import dcmread
from pydicom.filereader import read_dataset
from support.archives import Node as Archive
from support.archives import dicom_node
from support.nodes import SENDER, node_config, running_node, send_all, send_images, until

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime import Pipeline, find_cases, infer_cases
from ctpdeploy.service.node import Node, StudyState
from ctpdeploy.service.node.ledger import DeliveryState
from ctpdeploy.service.node.settings import ArchiveConfig, PageConfig


def settled(node: Node) -> bool:
    return all(study.state is StudyState.DONE for study in node.ledger.studies()) and all(
        one.state is DeliveryState.DELIVERED for one in node.ledger.deliveries()
    )


def archive_at(port: int) -> dict[str, Any]:
    return {"archives": (ArchiveConfig(address=f"ARCHIVE@127.0.0.1:{port}"),)}


def test_what_a_scanner_sends_is_in_the_archive_as_infer_makes_it(
    tmp_path: Path, bundle_folder: Path, images: list[Path], study_folder: Path
):
    with dicom_node(Archive()) as archive:
        config = node_config(tmp_path / "node", bundle=str(bundle_folder), **archive_at(archive.port))
        with running_node(config) as node:
            send_all(node.listener.port, images)
            until(lambda: node.ledger.deliveries() and settled(node))
            (study,) = node.ledger.studies()
            result = node.results / study.key
    report = json.loads((result / "report.json").read_text())
    assert report["input"]["arrival"] == "full grid"
    assert report["lesion"]["volume_ml"] > 0
    with Pipeline.open(bundle_folder, backend="ort-cpu") as pipeline:
        cohort = infer_cases(pipeline, find_cases(study_folder / "case_1" / "study"), tmp_path / "infer")
    other = tmp_path / "infer" / cohort.reports[0]["case"]
    for part in ("mask", "probability"):
        one, two = (
            place / json.loads((place / "report.json").read_text())["outputs"][part] for place in (result, other)
        )
        assert gzip.decompress(one.read_bytes()) == gzip.decompress(two.read_bytes())
    sent = {str(dcmread(path).SOPInstanceUID): path for path in sorted((other / "dicom").iterdir())}
    assert archive.received.keys() == sent.keys()
    assert sorted(archive.order) == sorted(sent)  # each once
    for uid, path in sent.items():
        ours = dcmread(path)
        syntax = ours.file_meta.TransferSyntaxUID
        theirs = read_dataset(BytesIO(archive.received[uid]), syntax.is_implicit_VR, syntax.is_little_endian)
        assert theirs.keys() == ours.keys()
        for pixels in {"PixelData", "FloatPixelData"} & {one.keyword for one in ours}:
            assert theirs[pixels].value == ours[pixels].value or path.stem == "overview"  # it shows seconds


def test_a_node_that_stops_goes_on_at_its_next_start(tmp_path: Path, bundle_folder: Path, scan: list[Path]):
    with dicom_node(Archive()) as archive:
        config = node_config(tmp_path / "node", bundle=str(bundle_folder), **archive_at(archive.port))
        with running_node(config) as node:
            send_all(node.listener.port, scan[:20])
        with running_node(config) as node:
            send_all(node.listener.port, scan[20:])
            until(lambda: node.ledger.deliveries() and settled(node))
            (study,) = node.ledger.studies()
            assert [result.images for result in node.ledger.results(study.key)] == [40]
        assert len(archive.order) == len(set(archive.order)) > 0


def test_an_archive_that_is_down_gets_its_results_when_it_is_back(
    tmp_path: Path, bundle_folder: Path, scan: list[Path]
):
    down = Archive(answer=lambda *_: 0xA700)
    with dicom_node(down) as archive:
        config = node_config(tmp_path / "node", bundle=str(bundle_folder), **archive_at(archive.port))
        with running_node(config) as node:
            send_all(node.listener.port, scan)
            until(lambda: any(one.tries for one in node.ledger.deliveries()))
            (delivery,) = node.ledger.deliveries()
            assert delivery.state is DeliveryState.WAITING
            assert delivery.reason
            down.answer = lambda *_: 0x0000
            until(lambda: settled(node))
    assert len(archive.received) > 0


def test_a_node_is_looked_at_and_keeps_account(tmp_path: Path, bundle_folder: Path, images: list[Path]):
    config = node_config(tmp_path / "node", bundle=str(bundle_folder), page=PageConfig(port=0))
    with running_node(config) as node:
        assert node.page
        address = node.page.address
        with urlopen(f"{address}health", timeout=10) as answer:
            assert json.load(answer)["healthy"]
        assert send_images(node.listener.port, images[:1], title="CT9") == []
        send_all(node.listener.port, images)
        metrics = ""

        def counted() -> bool:
            nonlocal metrics
            with urlopen(f"{address}metrics", timeout=10) as answer:
                metrics = answer.read().decode()
            return "ctpdeploy_node_seconds_to_result_count 1" in metrics

        until(counted)
        assert settled(node)
        (study,) = node.ledger.studies()
        node._others[0].stop()
        until(lambda: node.faults())
        with pytest.raises(HTTPError, match="503") as refused:
            urlopen(f"{address}health", timeout=10)
        assert json.load(refused.value)["faults"] == ["The thread 'arrivals' has ended."]
    assert not node.page.thread.is_alive()
    assert f"ctpdeploy_node_images_received_total {len(set(images))}" in metrics
    text = (tmp_path / "node" / "audit.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["what"] for line in lines] == [
        "node started", "association refused", "study receiving", "study complete", "result made", "node stopped",
    ]  # fmt: skip
    assert [line["objects"] for line in lines[2:5]] == [[{"study_digest": study.key}]] * 3
    assert (lines[2]["participants"][1]["user"], lines[2]["participants"][1]["address"]) == (SENDER, "127.0.0.1")
    patient = dcmread(images[0])
    for private in (patient.PatientName, patient.PatientID, patient.StudyInstanceUID):
        assert str(private) not in text + metrics


def test_a_port_of_the_page_that_is_taken_ends_it(tmp_path: Path, bundle_folder: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        page = PageConfig(port=taken.getsockname()[1])
        config = node_config(tmp_path / "node", bundle=str(bundle_folder), page=page)
        with pytest.raises(UsageError, match="for the page"):
            Node(config)


def test_a_folder_is_of_one_node(tmp_path: Path, bundle_folder: Path):
    config = node_config(tmp_path / "node", bundle=str(bundle_folder))
    with running_node(config), pytest.raises(UsageError, match="belongs to a node that is running"):
        Node(config)
    with running_node(config):
        pass
