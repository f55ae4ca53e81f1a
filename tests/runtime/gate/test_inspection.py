"""``ctpdeploy verify``: the gate again."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from support import bundles

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, GateError
from ctpdeploy.runtime.gate.reference import FILE, Reference
from ctpdeploy.runtime.gate.verification import LIMITS, compare


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


def no_segmenter(reference: Reference) -> Reference:
    return dataclasses.replace(reference, outputs={"chain": reference.outputs["chain"]})


def smaller(reference: Reference) -> Reference:
    return dataclasses.replace(
        reference,
        frames=reference.frames[..., :32],
        features=reference.features[..., :32],
        outputs={name: array[..., :32] for name, array in reference.outputs.items()},
    )


@pytest.mark.parametrize("change", [no_segmenter, smaller])
def test_the_reference_of_other_networks_is_refused(
    folder: Path, change: Callable[[Reference], Reference], capsys: pytest.CaptureFixture[str]
):
    change(bundles.reference()).save(folder / FILE)
    bundles.reseal(folder)
    assert run(["verify", str(folder)]) == ExitCode.INPUT
    assert f"{FILE} is of [" in capsys.readouterr().err


def other_channels(model: onnx.ModelProto) -> None:
    """Weights for an input of four channels, where five come."""
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0])[:, :4]
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(weight), "weight"))


def test_a_network_that_does_not_run_on_its_own_is_a_sentence(folder: Path, capsys: pytest.CaptureFixture[str]):
    bundles.edit_network(folder, other_channels, "segmenter")
    assert run(["verify", str(folder)]) == ExitCode.BACKEND
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert line.endswith(": export the bundle again.")


def test_an_output_of_another_shape_is_no_comparison():
    reference = bundles.reference()
    chain = reference.outputs["chain"]
    with pytest.raises(GateError, match=r"^mine returns a chain of shape \(2, 64, 32\), not \(2, 64, 64\): do not use"):
        compare("mine", {"chain": chain[..., :32]}, reference, LIMITS["fp32"])
    assert not compare("mine", {"chain": chain}, reference, LIMITS["fp32"]).failures()
