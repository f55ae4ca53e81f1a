from hashlib import sha256
from pathlib import Path

import pytest
from pydicom.uid import JPEG2000Lossless
from support.sealed_results import CLASSES, write_object

from ctpdeploy.errors import InputError
from ctpdeploy.service import read_instance
from ctpdeploy.service.instance import chunks_of


def test_class_uid_and_syntax_are_those_of_the_header(tmp_path: Path):
    uid = write_object(tmp_path / "dicom" / "tmax.dcm", CLASSES["tmax"], JPEG2000Lossless)
    found = read_instance(tmp_path / "dicom" / "tmax.dcm")
    assert (found.sop_class, found.uid, found.transfer_syntax) == (CLASSES["tmax"], uid, str(JPEG2000Lossless))
    assert found.bytes == found.path.stat().st_size


@pytest.mark.parametrize("change", ["longer", "gone"])
def test_a_file_that_changed_is_noticed(tmp_path: Path, change: str):
    write_object(tmp_path / "x.dcm")
    found = read_instance(tmp_path / "x.dcm")
    assert b"".join(chunks_of(found)) == found.path.read_bytes()
    found.path.unlink() if change == "gone" else found.path.write_bytes(found.path.read_bytes() + b"x")
    with pytest.raises(InputError, match="changed while it was sent"):
        list(chunks_of(found))


@pytest.mark.parametrize("size", [1, 3 * 2**18, 3 * 2**18 + 1])
def test_what_changed_at_equal_length_is_noticed_by_its_digest_before_all_is_out(tmp_path: Path, size: int):
    write_object(tmp_path / "x.dcm")
    content = (tmp_path / "x.dcm").read_bytes() + size * b"x"
    (tmp_path / "x.dcm").write_bytes(content)
    found = read_instance(tmp_path / "x.dcm", sha256=sha256(content).hexdigest())
    assert b"".join(chunks_of(found)) == content
    found.path.write_bytes(content[:-1] + b"y")
    out = []
    with pytest.raises(InputError, match="changed while it was sent"):
        out.extend(chunks_of(found))
    assert len(b"".join(out)) < len(content)


@pytest.mark.parametrize("content", [b"", b"no DICOM", 128 * b"\0" + b"DICM", None])
def test_what_has_no_header_is_refused(tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(InputError, match="no DICOM file"):
        read_instance(tmp_path / "x.dcm")
