"""``ctpdeploy verify``: the gate again."""

import dataclasses
import json
from pathlib import Path

import pytest
from support import bundles

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime.gate.reference import FILE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundles.write_bundle(tmp_path / "small.ctpbundle")


def test_verify_passes_the_gate_again(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["verify", str(folder), "--json"]) == ExitCode.DONE
    trials = json.loads(capsys.readouterr().out)["gate"]
    assert [trial["candidate"] for trial in trials] == ["networks", "ort-cpu"]
    assert {check["tensor"] for check in trials[0]["checks"]} == {"segmenter", "chain"}
    assert trials[1]["dice"] == 1.0
    assert trials[1]["batch_difference"] is not None
    assert run(["verify", str(folder), "--no-gate", "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["gate"] == []
    assert run(["verify", str(folder), "--backend", "nothing"]) == ExitCode.USAGE


def test_networks_that_do_not_hold_here_end_in_exit_six(folder: Path, capsys: pytest.CaptureFixture[str]):
    """As on a machine that computes otherwise: the hashes are right, the results are not."""
    changed = bundles.reference()
    shifted = {name: array + 1e-3 for name, array in changed.outputs.items()}
    dataclasses.replace(changed, outputs=shifted).save(folder / FILE)
    bundles.reseal(folder)
    assert run(["verify", str(folder)]) == ExitCode.GUARD
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert "does not hold on this machine: networks segmenter has" in line
    assert "do not use it here" in line
