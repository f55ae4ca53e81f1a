"""The archives of a node: C-STORE or STOW-RS, by their address."""

from pathlib import Path

import pytest

from ctpdeploy.errors import UsageError
from ctpdeploy.service import DicomArchive, WebArchive
from ctpdeploy.service.node.archives import open_archive
from ctpdeploy.service.node.settings import ArchiveConfig


def test_an_address_says_what_is_spoken():
    dicom = open_archive(ArchiveConfig(address="PACS@10.0.0.5:104"), "NODE")
    assert isinstance(dicom, DicomArchive)
    assert (dicom.address, dicom.title, dicom.protocol) == ("PACS@10.0.0.5:104", "NODE", "C-STORE")
    other = open_archive(ArchiveConfig(address="PACS@10.0.0.5:104", title="STROKE", tls=True), "NODE")
    assert (other.title, other.protocol) == ("STROKE", "C-STORE over TLS")  # type: ignore[union-attr]
    web = open_archive(ArchiveConfig(address="https://pacs.example/dicom-web"), "NODE")
    assert isinstance(web, WebArchive)


def test_a_token_comes_from_its_file(tmp_path: Path):
    address = "https://pacs.example/dicom-web"
    (tmp_path / "token").write_text("secret\n")
    archive = open_archive(ArchiveConfig(address=address, token_file=str(tmp_path / "token")), "NODE")
    assert archive._headers["Authorization"] == "Bearer secret"  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="holds no token"):
        open_archive(ArchiveConfig(address=address, token_file=str(tmp_path / "none")), "NODE")


def test_a_certificate_that_is_none_is_said(tmp_path: Path):
    with pytest.raises(UsageError, match="holds no certificates"):
        open_archive(ArchiveConfig(address="PACS@10.0.0.5:104", tls_ca=str(tmp_path / "none.pem")), "NODE")
