"""``ctpdeploy serve``: what it would do, in words, and that a signal ends it well."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from support.archives import Node, dicom_node
from support.nodes import until

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode

# pynetdicom 3.0.4 leaves the socket of a connection that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


def write_settings(folder: Path, bundle: Path, archive: str) -> Path:
    file = folder / "node.toml"
    file.write_text(
        f'bundle = "{bundle}"\nfolder = "var"\nbackend = "ort-cpu"\n[listen]\nport = 0\n'
        f'[[senders]]\ntitle = "CT1"\naddress = "10.0.0.0/24"\n[[archives]]\naddress = "{archive}"\n'
    )
    return file


def test_check_says_what_a_node_would_do(tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]):
    with dicom_node(Node(), classes=[str(Verification)]) as archive:
        settings = write_settings(tmp_path, bundle_folder, f"ARCHIVE@127.0.0.1:{archive.port}")
        assert run(["serve", str(settings), "--check"]) == ExitCode.DONE
    printed = capsys.readouterr().out
    assert "Listens as CTPDEPLOY on 127.0.0.1:0, with no TLS." in printed
    assert "Takes studies from CT1 at 10.0.0.0/24, and from nobody else." in printed
    assert f"Finds lesions with {bundle_folder}" in printed
    assert f"Delivers all objects to ARCHIVE@127.0.0.1:{archive.port} by C-STORE, which answers." in printed
    assert "Research use only" in printed
    assert not (tmp_path / "var").exists()


def test_check_names_an_archive_that_does_not_answer(
    tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]
):
    settings = write_settings(tmp_path, bundle_folder, "PACS@127.0.0.1:9")
    assert run(["serve", str(settings), "--check"]) == ExitCode.PEER
    printed = capsys.readouterr()
    assert "which does not answer now" in printed.out
    assert "PACS@127.0.0.1:9" in printed.err


def test_check_says_who_sees_the_page(tmp_path: Path, bundle_folder: Path, capsys: pytest.CaptureFixture[str]):
    with dicom_node(Node(), classes=[str(Verification)]) as archive:
        settings = write_settings(tmp_path, bundle_folder, f"ARCHIVE@127.0.0.1:{archive.port}")
        settings.write_text(settings.read_text() + "[page]\nport = 8043\n")
        assert run(["serve", str(settings), "--check"]) == ExitCode.DONE
        assert "Shows a page on 127.0.0.1:8043 to everybody there." in capsys.readouterr().out
        settings.write_text(settings.read_text() + 'token_file = "token"\n')
        assert run(["serve", str(settings), "--check"]) == ExitCode.USAGE
        (tmp_path / "token").write_text("a token of enough letters")
        assert run(["serve", str(settings), "--check"]) == ExitCode.DONE
    assert "to who shows the token" in capsys.readouterr().out


def test_settings_that_no_node_can_run_by_end_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "node.toml").write_text("")
    assert run(["serve", str(tmp_path / "node.toml")]) == ExitCode.USAGE
    assert "a node needs bundle, folder and [[senders]]" in capsys.readouterr().err
    settings = write_settings(tmp_path, tmp_path / "none", "PACS@127.0.0.1:9")
    assert run(["serve", str(settings)]) == ExitCode.INPUT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(tmp_path: Path, bundle_folder: Path, number: signal.Signals):
    settings = write_settings(tmp_path, bundle_folder, "PACS@127.0.0.1:9")
    settings.write_text(f'log = "json"\n{settings.read_text()}[page]\nport = 0\n')
    command = [sys.executable, "-m", "ctpdeploy", "serve", str(settings)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: "Its page is at http://127.0.0.1:" in (tmp_path / "log").read_text())
            child.send_signal(number)
            assert child.wait(timeout=60) == 128 + number
        finally:
            child.kill()
            child.wait()
    assert "What was received is kept" in (tmp_path / "log").read_text()
