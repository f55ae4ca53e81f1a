"""Results as infer leaves them, sealed, of small objects that nothing was computed for."""

import json
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, SegmentationStorage, generate_uid

from ctpdeploy.runtime.cohort.seal import seal

__all__ = ["CLASSES", "PATIENT", "data_set", "write_object", "write_result"]

PATIENT = "MUSTERMANN^ERIKA"
CLASSES = {
    "segmentation": str(SegmentationStorage),
    "overview": str(SecondaryCaptureImageStorage),
    "report": "1.2.840.10008.5.1.4.1.1.88.33",
    "tmax": "1.2.840.10008.5.1.4.1.1.30",
}
"""SOP classes by what is in a file."""


def write_object(
    file: Path, sop_class: str = CLASSES["overview"], syntax: str = ExplicitVRLittleEndian, text: str = ""
) -> str:
    """A small object, in explicit VR with a group length as no encoder of today would repeat it; its UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid = generate_uid(entropy_srcs=[file.parent.parent.name, file.name])
    meta.TransferSyntaxUID = syntax
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = sop_class, uid
    data.PatientName, data.PatientID, data.ImageComments = PATIENT, "", text
    file.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(file, enforce_file_format=True)
    if not UID(syntax).is_implicit_VR:
        name = b"\x10\x00\x10\x00PN"
        length = b"\x10\x00\x00\x00UL\x04\x00" + (8 + len(PATIENT) + len(PATIENT) % 2 + 8).to_bytes(4, "little")
        file.write_bytes(file.read_bytes().replace(name, length + name, 1))
    return str(uid)


def data_set(file: Path) -> bytes:
    """What follows the header of a file."""
    meta = pydicom.filereader.read_file_meta_info(file)
    return file.read_bytes()[128 + 4 + 12 + meta.FileMetaInformationGroupLength :]


def write_result(
    out: Path, name: str = "case_1", objects: Sequence[str] = ("segmentation", "overview", "report")
) -> Path:
    """The result of a case, sealed."""
    folder = out / name
    folder.mkdir(parents=True)
    (folder / "overview.png").write_bytes(b"a picture")
    for word in objects:
        write_object(folder / "dicom" / f"{word}.dcm", CLASSES[word])
    (folder / "report.json").write_text(json.dumps({"case": name}))
    seal(folder, {"ctp": 64 * "0"})
    return folder
