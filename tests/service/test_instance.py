from pathlib import Path
from unittest.mock import Mock

import pytest
from pydicom.uid import JPEG2000Lossless
from support.sealed_results import CLASSES, write_object

from ctpdeploy.errors import InputError
from ctpdeploy.service import DicomAddress, DicomArchive, WebAddress, WebArchive, read_instance


def test_class_uid_and_syntax_are_those_of_the_header(tmp_path: Path):
    uid = write_object(tmp_path / "dicom" / "tmax.dcm", CLASSES["tmax"], JPEG2000Lossless)
    found = read_instance(tmp_path / "dicom" / "tmax.dcm")
    assert (found.sop_class, found.uid, found.transfer_syntax) == (CLASSES["tmax"], uid, str(JPEG2000Lossless))
    assert found.bytes == found.path.stat().st_size


@pytest.mark.parametrize("change", ["longer", "gone"])
def test_a_file_that_changed_is_noticed_before_it_is_sent(tmp_path: Path, change: str):
    write_object(tmp_path / "x.dcm")
    found = read_instance(tmp_path / "x.dcm")
    found.require_same()
    found.path.unlink() if change == "gone" else found.path.write_bytes(found.path.read_bytes() + b"x")
    archives = (
        DicomArchive(DicomAddress(title="A", host="127.0.0.1", port=1)),
        WebArchive(WebAddress(host="127.0.0.1", port=1, path="", secure=False)),
    )
    with pytest.raises(InputError, match="changed while it was sent"):
        list(archives[1].store([found]))
    with pytest.raises(InputError, match="changed while it was sent"):
        archives[0]._store(Mock(), found)


@pytest.mark.parametrize("content", [b"", b"no DICOM", 128 * b"\0" + b"DICM", None])
def test_what_has_no_header_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(InputError, match="no DICOM file"):
        read_instance(tmp_path / "x.dcm")
