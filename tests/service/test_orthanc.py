"""Results and their study in a real archive, by both ways, and back."""

import json
import shutil
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from support import orthanc
from support.dicom_images import write_scan
from support.orthanc import Orthanc, running_orthanc
from support.sealed_results import data_set
from support.shared import made_once

from ctpdeploy.cli import run
from ctpdeploy.cli.push import TOKEN
from ctpdeploy.errors import ExitCode, InputError
from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.runtime import Case, Pipeline, find_cases, infer_cases
from ctpdeploy.runtime.cohort.dicom_results import DicomResults
from ctpdeploy.runtime.data.prediction import EngineInfo, Provenance
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.service import (
    DicomArchive,
    Instance,
    State,
    WebArchive,
    parse_address,
    read_instance,
    send,
)

NODE, SERVICE = f"{orthanc.TITLE}@127.0.0.1:{orthanc.DICOM_PORT}", f"{orthanc.URL}/dicom-web"
BUNDLE = Provenance(
    bundle={"name": "x.ctpbundle", "sha256": 64 * "0"}, backend_requested="auto", backend_because="It was asked for."
)
KINDS = {"segmentation", "probability_segmentation", "report", "overview", "probability", "cbf", "cbv", "mtt", "tmax"}


class Engine:
    """A lesion where Tmax is long, and an image."""

    info = EngineInfo(backend="engine", device="none", precision="fp32")

    def run(self, batch: SliceBatch) -> SliceOutputs:
        return SliceOutputs(probability=batch.features[:, 3], pseudo_dwi=batch.features[:, :1])


def make(folder: Path, case: Case) -> None:
    """Two studies and their results: of ``ctpdeploy phantom --dicom``, and of somebody whose ID is empty."""
    patient = PhantomConfig(size=64, slices=2, frames=20)
    write_dataset(folder / "in", cases=1, seed=7, config=patient, layout="one-series")

    def anonymous(data: pydicom.Dataset, *_: int) -> None:
        data.PatientID = ""

    hu = np.rint(case.series[:, :, ::-1]).astype(np.int16)
    write_scan(folder / "in" / "anonymous", hu, spacing=case.geometry.spacing, edit=anonymous, study="anonymous")
    pipeline = Pipeline(Engine(), PreprocessConfig(slice_shape=(64, 64)), BUNDLE)
    cases = [found for place in sorted((folder / "in").iterdir()) for found in find_cases(place)]
    cohort = infer_cases(pipeline, cases, folder / "out", dicom=DicomResults(fractional=True))
    assert not cohort.refused


@pytest.fixture
def patients(tmp_path_factory: pytest.TempPathFactory, phantom_case: Case, tmp_path: Path) -> Path:
    made = made_once(tmp_path_factory, "patients_of_an_archive", lambda folder: make(folder, phantom_case))
    return shutil.copytree(made, tmp_path / "patients")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with running_orthanc(tmp_path) as archive:
        yield archive


def objects(folder: Path) -> list[Instance]:
    """All DICOM objects under a folder, each UID once."""
    found: dict[str, Instance] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            try:
                one = read_instance(file)
            except InputError:
                continue
            found.setdefault(one.uid, one)
    return [one for one in found.values() if one.sop_class != "1.2.840.10008.1.3.10"]  # no directory of a disc


def stored(archive: Orthanc) -> dict[str, str]:
    """What the archive calls the objects that it has, by their UIDs."""
    return {one["MainDicomTags"]["SOPInstanceUID"]: one["ID"] for one in archive.json("/instances?expand")}


def by_wado(archive: Orthanc, instance: Instance) -> bytes:
    """An object as it comes back by WADO-RS, in the syntax that it has."""
    data = pydicom.dcmread(instance.path, stop_before_pixels=True)
    path = f"/dicom-web/studies/{data.StudyInstanceUID}/series/{data.SeriesInstanceUID}/instances/{instance.uid}"
    body = archive.get(path, 'multipart/related; type="application/dicom"; transfer-syntax=*')
    boundary = body[2 : body.index(b"\r\n")].decode()
    head = f'Content-Type: multipart/related; boundary="{boundary}"\r\n\r\n'.encode()
    (part,) = message_from_bytes(head + body, policy=HTTP).get_payload()  # type: ignore[misc]
    return part.get_payload(decode=True)


def same(archive: Orthanc, instance: Instance, file: Path) -> bool:
    """Whether both ways back give the data set that the file has."""
    for content in (archive.get(f"/instances/{stored(archive)[instance.uid]}/file"), by_wado(archive, instance)):
        file.write_bytes(content)
        if data_set(file) != data_set(instance.path):
            return False
    return True


@pytest.mark.parametrize("way", ["C-STORE", "STOW-RS"])
def test_every_object_comes_back_as_it_went(
    archive: Orthanc, patients: Path, tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(TOKEN, orthanc.TOKEN)
    to = NODE if way == "C-STORE" else SERVICE
    source, results = objects(patients / "in"), objects(patients / "out")
    kinds = {one.path.stem for one in results}
    assert kinds >= KINDS | {"pseudo_dwi"}
    peer = (
        DicomArchive(parse_address(to)) if way == "C-STORE" else WebArchive(parse_address(to), token=orthanc.TOKEN)  # type: ignore[arg-type]
    )
    outcomes = archive.inside(lambda: send(peer, source))
    assert {one.state for one in outcomes} == {State.STORED}
    before = archive.json("/statistics")
    for _ in range(2):  # sent twice is stored once
        assert archive.inside(lambda: run(["push", str(patients / "out"), "--to", to, "--no-commit"])) == ExitCode.DONE
        after = archive.json("/statistics")
        assert after["CountInstances"] == before["CountInstances"] + len(results)
    # they joined the patients and the studies that were there, by an empty ID too
    for count in ("CountPatients", "CountStudies"):
        assert after[count] == before[count]
    assert all(same(archive, one, tmp_path / "back.dcm") for one in results)
    assert all(same(archive, one, tmp_path / "back.dcm") for one in source[:: max(1, len(source) // 8)])
    receipts = [json.loads((one / "receipt.json").read_text()) for one in (patients / "out").iterdir()]
    assert all(
        {entry["state"] for entry in delivery["objects"]} == {"stored"}
        for receipt in receipts
        for delivery in receipt["deliveries"]
    )


def test_what_can_be_looked_at_looks_as_it_was_made(archive: Orthanc, patients: Path, tmp_path: Path):
    results = objects(patients / "out")
    archive.inside(lambda: send(DicomArchive(parse_address(NODE)), results))  # type: ignore[arg-type]
    names = stored(archive)
    for one in results:
        if one.path.stem in ("overview", "segmentation", "probability_segmentation"):
            (tmp_path / "preview.png").write_bytes(archive.get(f"/instances/{names[one.uid]}/preview", "image/png"))
            shown = np.asarray(Image.open(tmp_path / "preview.png"))
            pixels: Any = pydicom.dcmread(one.path).pixel_array
            expected = pixels if one.path.stem == "overview" else pixels.reshape(-1, *shown.shape[:2])[0]
            assert shown.shape[:2] == expected.shape[:2]
            if one.path.stem == "overview":
                np.testing.assert_array_equal(shown[..., :3], expected)
            else:
                assert ((shown > 0) == (expected > 0)).all()


def test_it_commits_by_an_association_of_its_own_to_those_whom_it_knows(archive: Orthanc, patients: Path):
    results = objects(patients / "out")
    known, stranger = (DicomArchive(parse_address(NODE), title=title) for title in ("CTPDEPLOY", "STRANGER"))  # type: ignore[arg-type]

    def commitment(peer: DicomArchive, wanted: list[Instance], port: int | None) -> str:
        return str(archive.inside(lambda: peer.commit(wanted, wait=20.0 if port else 0.5, port=port)).state)

    archive.inside(lambda: send(known, results[:-1]))
    assert commitment(known, results[:-1], orthanc.REPORT_PORT) == "committed"
    assert commitment(known, results, orthanc.REPORT_PORT) == "refused"  # one of them it has not
    assert commitment(known, results[:-1], None) == "asked"
    assert commitment(stranger, results[:-1], None) == "refused"


def test_a_changed_object_of_a_known_uid_is_taken_and_not_kept(archive: Orthanc, patients: Path, tmp_path: Path):
    original = next(one for one in objects(patients / "out") if one.path.stem == "report")
    data = pydicom.dcmread(original.path)
    data.SeriesDescription = "changed"
    data.save_as(tmp_path / "changed.dcm")
    peer = WebArchive(parse_address(SERVICE), token=orthanc.TOKEN)  # type: ignore[arg-type]
    for one in (original, read_instance(tmp_path / "changed.dcm")):
        assert archive.inside(lambda one=one: send(peer, [one]))[0].state is State.STORED
    assert same(archive, original, tmp_path / "back.dcm")  # so receipts hold digests, and push warns
