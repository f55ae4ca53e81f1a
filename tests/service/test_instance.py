from pathlib import Path

import pytest
from pydicom.uid import JPEG2000Lossless
from support.sealed_results import CLASSES, write_object

from ctpdeploy.errors import InputError
from ctpdeploy.service import read_instance


def test_class_uid_and_syntax_are_those_of_the_header(tmp_path: Path):
    uid = write_object(tmp_path / "dicom" / "tmax.dcm", CLASSES["tmax"], JPEG2000Lossless)
    found = read_instance(tmp_path / "dicom" / "tmax.dcm")
    assert (found.sop_class, found.uid, found.transfer_syntax) == (CLASSES["tmax"], uid, str(JPEG2000Lossless))
    assert found.bytes == found.path.stat().st_size


@pytest.mark.parametrize("content", [b"", b"no DICOM", 128 * b"\0" + b"DICM", None])
def test_what_has_no_header_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(InputError, match="no DICOM file"):
        read_instance(tmp_path / "x.dcm")
