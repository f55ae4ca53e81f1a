"""``ctpdeploy node``: what there is, tried again or removed, by a name that is nobody's."""

import getpass
import json
from pathlib import Path

import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.service.node.ledger import DeliveryState, Ledger, StudyState

PACS = "PACS@10.0.0.5:104"


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A node with a study that is delivered, one that its archive refused, and one that failed."""
    file = tmp_path / "node.toml"
    file.write_text(
        'bundle = "x"\nfolder = "var"\n[[senders]]\ntitle = "CT1"\naddress = "127.0.0.1"\n'
        f'[[archives]]\naddress = "{PACS}"\n'
    )
    (tmp_path / "var").mkdir()
    ledger = Ledger(tmp_path / "var" / "ledger.sqlite")
    for key in ("good", "late", "bad"):
        ledger.receive(key)
        ledger.complete(key, images=40, completeness="full grid")
        study = ledger.claim()
        assert study
        if key == "bad":
            ledger.fail(key, "The series is none.")
            continue
        ledger.done(study, results={key: key}, archives=[PACS])
        delivery = ledger.due(PACS)
        assert delivery
        state = DeliveryState.DELIVERED if key == "good" else DeliveryState.FAILED
        ledger.settle(delivery, state, "" if key == "good" else "It does not know this machine.")
        (tmp_path / "var" / "results" / key).mkdir(parents=True)
    ledger.close()
    return file


def ledger_of(settings: Path) -> Ledger:
    return Ledger(settings.parent / "var" / "ledger.sqlite")


def test_status_shows_every_study_and_why_it_is_not_done(settings: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["node", "status", str(settings)]) == ExitCode.DONE
    printed = capsys.readouterr()
    rows = {line.split()[0]: line for line in printed.out.splitlines()[2:]}
    assert set(rows) == {"good", "late", "bad"}
    assert "full grid" in rows["good"]
    assert "PACS: delivered" in rows["good"]
    assert "PACS: failed" in rows["late"]
    assert "bad: The series is none." in printed.err
    assert f"late to {PACS}, try 1: It does not know this machine." in printed.err


def test_status_as_json_holds_all(settings: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["node", "status", str(settings), "good", "--json"]) == ExitCode.DONE
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["state"], study["images"], study["results"][0]["version"]) == ("done", 40, 1)
    assert study["deliveries"][0]["archive"] == PACS


def test_retry_takes_what_failed(settings: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["node", "retry", str(settings)]) == ExitCode.DONE
    assert "2 studies are tried again." in capsys.readouterr().err
    ledger = ledger_of(settings)
    assert ledger.due(PACS)
    assert [study.key for study in ledger.studies(StudyState.COMPLETE)] == ["bad"]
    ledger.close()
    assert run(["node", "retry", str(settings), "good"]) == ExitCode.DONE
    assert "0 studies are tried again." in capsys.readouterr().err
    lines = [json.loads(line) for line in (settings.parent / "var" / "audit.jsonl").read_text().splitlines()]
    assert {one["objects"][0]["study_digest"] for one in lines} == {"late", "bad"}
    assert lines[0]["what"] == "study tried again by a person"
    assert lines[0]["participants"][1]["user"] == getpass.getuser()


def test_purge_removes_a_study_and_its_result(settings: Path):
    results = settings.parent / "var" / "results"
    assert run(["node", "purge", str(settings), "late"]) == ExitCode.DONE
    assert {path.name for path in results.iterdir()} == {"good"}
    ledger = ledger_of(settings)
    assert {study.key for study in ledger.studies()} == {"good", "bad"}
    ledger.receive("good")
    ledger.close()
    assert run(["node", "purge", str(settings), "good"]) == ExitCode.USAGE
    assert run(["node", "purge", str(settings)]) == ExitCode.USAGE
    assert (results / "good").is_dir()
    (line,) = (settings.parent / "var" / "audit.jsonl").read_text().splitlines()
    assert json.loads(line)["event"]["meaning"] == "DICOM Study Deleted"


def test_what_is_not_there_is_said(settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["node", "status", str(settings), "nobody"]) == ExitCode.INPUT
    assert "There is no study nobody" in capsys.readouterr().err
    other = tmp_path / "other.toml"
    other.write_text(settings.read_text().replace('"var"', '"none"'))
    assert run(["node", "status", str(other)]) == ExitCode.INPUT
    assert "holds no ledger of a node" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
