"""``ctpdeploy push``."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import DEFAULT_TRANSFER_SYNTAXES
from support.archives import Node, Web, dicom_node, web_service
from support.sealed_results import CLASSES, write_result

from ctpdeploy.cli import run
from ctpdeploy.cli.push import TOKEN
from ctpdeploy.errors import ExitCode

# pynetdicom 3.0.4 leaves the socket of a connection that failed to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What is left to the collector is collected here, where it is expected."""
    yield
    gc.collect()


def push(out: Path, node: Node, *options: str) -> int:
    return run(["push", str(out), "--to", f"ARCHIVE@127.0.0.1:{node.port}", "--tries", "1", *options])


def well(uid: str, _: int) -> tuple[int, bytes, dict[str, str]]:
    return 200, json.dumps({"00081199": {"Value": [{"00081155": {"Value": [uid]}}]}}).encode(), {}


def test_a_case_is_sent_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_result(tmp_path)
    with dicom_node(Node()) as node:
        assert push(tmp_path, node) == ExitCode.DONE
    assert len(node.received) == 3
    assert node.titles == ["CTPDEPLOY", "CTPDEPLOY"]  # to store, and to ask for commitment
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1].split() == ["case_1", "3", "3", "0", "not", "offered"]
    assert "receipt.json" in printed.err
    assert "Research use only" in printed.err
    (delivery,) = json.loads((folder / "receipt.json").read_text())["deliveries"]
    assert delivery["commitment"]["state"] == "not offered"


def test_of_the_objects_those_that_are_named_are_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_result(tmp_path, "case_1")
    write_result(tmp_path, "case_2", ("overview",))
    with dicom_node(Node()) as node:
        assert push(tmp_path, node, "--no-commit", "--only", "report, segmentation.dcm") == ExitCode.DONE
        assert len(node.received) == 2
        assert push(tmp_path, node, "--no-commit", "--only", "tmax") == ExitCode.INPUT
        assert push(tmp_path, node, "--no-commit", "--only", "report,seg") == ExitCode.USAGE
    (delivery,) = json.loads((folder / "receipt.json").read_text())["deliveries"]
    assert [one["file"] for one in delivery["objects"]] == ["dicom/report.dcm", "dicom/segmentation.dcm"]
    err = capsys.readouterr().err
    assert "Without DICOM objects to send: case_2" in err
    assert "'seg' is no object that infer writes" in err


def test_an_echo_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_result(tmp_path)
    with dicom_node(Node(), classes=[CLASSES["overview"], "1.2.840.10008.1.1"]) as node:
        to = ["push", "--echo", "--to"]
        assert run([*to, f"ARCHIVE@127.0.0.1:{node.port}"]) == ExitCode.DONE
        assert push(tmp_path, node, "--echo") == ExitCode.DONE
        assert run([*to, f"WRONG@127.0.0.1:{node.port}"]) == ExitCode.PEER
    assert node.contexts == 3 * [[("1.2.840.10008.1.1", DEFAULT_TRANSFER_SYNTAXES)]]
    assert not node.received
    assert "lets CTPDEPLOY in; nothing was sent" in capsys.readouterr().err
    with dicom_node(Node(), classes=[CLASSES["overview"]]) as node:
        assert run([*to, f"ARCHIVE@127.0.0.1:{node.port}"]) == ExitCode.PEER
    assert "does not offer C-ECHO" in capsys.readouterr().err


@pytest.mark.parametrize(("options", "hint"), [((), "needs --commit-port"), (("--commit-port", "0"), "and port 0")])
def test_that_commitment_is_awaited_is_said_and_what_silence_may_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], hint: str
):
    write_result(tmp_path)
    with dicom_node(Node(report=lambda _: None)) as node:
        assert push(tmp_path, node, "--commit-wait", "0.1", *options) == ExitCode.DONE
    err = capsys.readouterr().err
    assert "is asked to commit to 3 objects; its word is awaited 0.1 s" in err
    assert "no word on commitment came within 0.1 s" in err
    assert hint in err


def test_json_is_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_result(tmp_path, "case_1")
    write_result(tmp_path, "case_2", ())
    with dicom_node(Node(answer=lambda *_: 0xB000)) as node:
        assert push(tmp_path, node, "--json", "--no-commit", "--aet", "ME") == ExitCode.DONE
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["to"], found["protocol"]) == (f"ARCHIVE@127.0.0.1:{node.port}", "C-STORE")
    assert {one["status"] for one in found["cases"]["case_1"]["objects"]} == {"b000"}
    assert (found["without_dicom"], found["failed"]) == (["case_2"], {})
    assert node.titles == ["ME"]
    assert "stored with a warning (elements were coerced (b000))" in printed.err
    assert "Without DICOM objects to send: case_2" in printed.err


def test_by_https_or_here_a_service_gets_the_token_of_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_result(tmp_path / "out")
    (tmp_path / "token").write_text("of-a-file\n")
    with web_service(Web(well)) as web:
        to = ["push", str(tmp_path / "out"), "--to", f"http://127.0.0.1:{web.port}/dicom-web"]
        assert run(to) == ExitCode.DONE
        monkeypatch.setenv(TOKEN, "of-the-environment")
        assert run(to) == ExitCode.DONE
        assert run([*to, "--token-file", str(tmp_path / "token")]) == ExitCode.DONE
    sent = [headers.get("Authorization") for _, headers, _ in web.requests]
    assert sent == [*(3 * [None]), *(3 * ["Bearer of-the-environment"]), *(3 * ["Bearer of-a-file"])]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("wrong title", ExitCode.PEER, "has another AE title"),
        ("refused", ExitCode.PEER, "1 of 3 objects are not in"),
        ("not whole", ExitCode.INPUT, "does not match its seal"),
        ("no results", ExitCode.INPUT, "holds no results"),
        ("no dicom", ExitCode.INPUT, "None of the results has DICOM objects"),
    ],
)
def test_one_case_ends_in_its_own_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str, code: int, words: str
):
    node = Node(answer=lambda _, number: 0xC000 if number == 1 and fault == "refused" else 0)
    if fault != "no results":
        folder = write_result(tmp_path, "case_1", () if fault == "no dicom" else ("segmentation", "overview", "report"))
        if fault == "not whole":
            (folder / "report.json").write_text("{}")
    with dicom_node(node):
        title = "WRONG" if fault == "wrong title" else "ARCHIVE"
        to = f"{title}@127.0.0.1:{node.port}"
        assert run(["push", str(tmp_path), "--to", to, "--no-commit"]) == code
    assert words in capsys.readouterr().err


def test_of_several_cases_those_that_fail_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    write_result(tmp_path, "case_1")
    (write_result(tmp_path, "case_2") / "report.json").write_text("{}")
    with dicom_node(Node()) as node:
        assert push(tmp_path, node, "--no-commit") == ExitCode.BATCH
    err = capsys.readouterr().err
    assert "Error: case_2: " in err
    assert "1 of 2 cases failed (case_2)" in err
    assert len(node.received) == 3


def test_an_archive_that_is_not_there_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number in (1, 2):
        write_result(tmp_path, f"case_{number}")
    with dicom_node(Node()) as node:
        assert run(["push", str(tmp_path), "--to", f"WRONG@127.0.0.1:{node.port}"]) == ExitCode.PEER
    assert capsys.readouterr().err.count("another AE title") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--to", "nobody"],
        ["--to", "https://user:geheim@host/x"],
        ["--to", "http://pacs.example/x"],
        ["--to", "A@host:104", "--token-file", "x"],
        ["--to", "A@host:104", "--plain-http"],
        ["--to", "https://host/x", "--aet", "ME"],
        ["--to", "https://host/x", "--commit-port", "11112"],
        ["--to", "https://host/x", "--tls"],
        ["--to", "https://host/x", "--echo"],
        ["--to", "https://host/x", "--token-file", "nowhere"],
        ["--to", "A@host:104", "--tls-ca", "nowhere"],
        ["--to", "A@host:104", "--aet", "SEVENTEENLETTERSX"],
        ["--to", "A@host:104", "--tries", "0"],
        ["--to", "A@host:104", "--timeout", "0"],
        [],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
):
    write_result(tmp_path)
    assert run(["push", str(tmp_path), *arguments]) == ExitCode.USAGE
    assert "geheim" not in capsys.readouterr().err


def test_without_results_and_without_an_echo_nothing_is_meant(capsys: pytest.CaptureFixture[str]):
    assert run(["push", "--to", "A@host:104"]) == ExitCode.USAGE
    assert "give the folder that ctpdeploy infer wrote" in capsys.readouterr().err


def test_without_the_extra_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    import sys

    write_result(tmp_path)
    monkeypatch.setitem(sys.modules, "pynetdicom", None)
    assert run(["push", str(tmp_path), "--to", "A@host:104"]) == ExitCode.BACKEND
    assert "install ctpdeploy with its extra node" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]):
    assert run(["push", "--help"]) == ExitCode.DONE
    text: Any = " ".join(capsys.readouterr().out.split())
    assert "ctpdeploy push results --to PACS@10.0.0.5:104" in text
    assert TOKEN in text
