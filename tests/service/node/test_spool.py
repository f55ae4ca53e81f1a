"""The spool: what is in it is whole, once, and there again after a kill."""

import os
from pathlib import Path

import pytest
from pydicom import dcmread

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.dicom.tags import Tag
from ctpdeploy.service.node.spool import Kept, Spool, study_key


@pytest.fixture
def content(scan: list[Path]) -> bytes:
    return scan[0].read_bytes()


def test_an_instance_is_kept_as_it_came(tmp_path: Path, content: bytes):
    spool = Spool(tmp_path)
    received = spool.receive(content)
    assert spool.keep(received) is Kept.NEW
    (file,) = spool.images(received.key)
    assert file.read_bytes() == content
    assert spool.studies() == [received.key] == [study_key(received.header.text(Tag.STUDY))]
    assert not list((tmp_path / "incoming").iterdir())


def test_a_copy_is_the_same_and_another_of_its_uid_stays_out(tmp_path: Path, content: bytes):
    spool = Spool(tmp_path)
    key = spool.receive(content).key
    assert [spool.keep(spool.receive(content)) for _ in range(2)] == [Kept.NEW, Kept.SAME]
    other = content[:-1] + bytes([content[-1] ^ 1])
    assert spool.keep(spool.receive(other)) is Kept.OTHER
    (file,) = spool.images(key)
    assert file.read_bytes() == content


def test_what_belongs_to_no_scan_leaves_nothing(tmp_path: Path, content: bytes):
    spool = Spool(tmp_path)
    for wrong in (b"", b"no DICOM" * 100, content[:128] + b"DICM"):
        with pytest.raises(InputError):
            spool.receive(wrong)
    assert not list((tmp_path / "incoming").iterdir())
    assert spool.studies() == []


def test_names_are_of_the_node_alone(tmp_path: Path, content: bytes):
    """Whatever a sender calls things, they lie where they belong."""
    uid = read_uid(content)
    evil = b"../../../../x".ljust(len(uid), b"\0")
    spool = Spool(tmp_path / "spool")
    received = spool.receive(content.replace(uid, evil))
    spool.keep(received)
    assert {path.name for path in tmp_path.iterdir()} == {"spool"}
    assert received.key == study_key("../../../../x")


def read_uid(content: bytes) -> bytes:
    start = content.index(b"\x20\x00\x0d\x00UI") + 8
    return content[start : start + int.from_bytes(content[start - 2 : start], "little")]


def test_what_was_received_before_a_kill_is_recovered_and_the_rest_removed(tmp_path: Path, content: bytes):
    spool = Spool(tmp_path)
    received = spool.receive(content)
    short = received.path.with_name(f"x{received.path.name[1:]}")
    short.write_bytes(content[:-1])
    again = Spool(tmp_path)
    (found,) = again.recover()
    assert again.keep(found) is Kept.NEW
    assert not list((tmp_path / "incoming").iterdir())


def test_it_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    Spool(tmp_path).receive(content)
    assert synced == [len(content)]
    Spool(tmp_path, durable=False).receive(content)
    assert len(synced) == 1


def test_a_view_is_of_one_moment(tmp_path: Path, scan: list[Path]):
    spool = Spool(tmp_path)
    first, second = (spool.receive(path.read_bytes()) for path in scan[:2])
    spool.keep(first)
    with spool.view(first.key) as folder:
        spool.keep(second)
        assert folder.name == first.key
        assert [path.read_bytes() for path in folder.iterdir()] == [scan[0].read_bytes()]
    assert not folder.exists()
    assert len(spool.images(first.key)) == 2


def test_results_are_made_of_images_and_never_of_results(tmp_path: Path, images: list[Path], scan: list[Path]):
    spool = Spool(tmp_path)
    (report,) = (path for path in images if b"DOSE REPORT" in path.read_bytes())
    maker = dcmread(scan[0])
    maker.SeriesDescription = "Probability (research use only)"
    maker.save_as(tmp_path / "ours.dcm")
    for path in (report, tmp_path / "ours.dcm", scan[1]):
        received = spool.receive(path.read_bytes())
        assert received.is_image == (path == scan[1])
        assert spool.keep(received) is Kept.NEW
    assert len(spool.images(received.key)) == 1


def test_a_file_system_without_links_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    with pytest.raises(UsageError, match="without hard links"):
        Spool(tmp_path)
    assert not list((tmp_path / "incoming").iterdir())


def test_a_removed_study_leaves_nothing(tmp_path: Path, content: bytes):
    spool = Spool(tmp_path)
    received = spool.receive(content)
    spool.keep(received)
    spool.remove(received.key)
    assert spool.studies() == []
    assert spool.images(received.key) == []
