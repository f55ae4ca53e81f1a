import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.bundles import edit_network, write_bundle
from support.nifti_cases import only_case

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


def swap_labels(model: onnx.ModelProto) -> None:
    """The probability of no lesion in place of that of lesion."""
    (lesion,) = (tensor for tensor in model.graph.initializer if tensor.name == "lesion")
    lesion.CopyFrom(helper.make_tensor("lesion", TensorProto.INT64, [], [0]))


def add_a_hundredth(model: onnx.ModelProto) -> None:
    """A fault far too small to be seen in a picture."""
    (gather,) = (node for node in model.graph.node if node.op_type == "Gather")
    gather.output[0] = "right"
    model.graph.initializer.append(helper.make_tensor("fault", TensorProto.FLOAT, [], [0.01]))
    model.graph.node.append(helper.make_node("Add", ["right", "fault"], ["probability"]))


def test_help_teaches(capsys: pytest.CaptureFixture[str]):
    assert run(["benchmark", "--help"]) == ExitCode.DONE
    text = " ".join(capsys.readouterr().out.split())
    assert "Example: ctpdeploy benchmark demo/demo.ctpbundle" in text
    assert "exit code 6 and no figures" in text


def test_figures_for_people_and_for_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bundle, out = write_bundle(tmp_path / "small.ctpbundle"), tmp_path / "figures.json"
    assert run(["benchmark", str(bundle), "--backend", "ort-cpu", "--rounds", "2", "--out", str(out)]) == ExitCode.DONE
    printed = capsys.readouterr()
    assert "case synthetic: 3 slices of 64 x 64, 40 frames" in printed.out
    assert "cold start to first mask" in printed.out
    assert "unaccounted" in printed.out
    assert "Research use only" in printed.err
    figures = json.loads(out.read_text())
    assert figures["rounds"] == 2
    assert figures["folder_cases"] == 2
    assert figures["case"]["synthetic"] is True
    assert figures["backends"]["ort-cpu"]["networks_share"] == {}  # the one network has all of it


def test_json_is_all_that_is_printed_and_given_cases_are_used(
    tmp_path: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    bundle = write_bundle(tmp_path / "small.ctpbundle")
    command = ["benchmark", str(bundle), str(phantom_folder), "--backend", "ort-cpu", "--rounds", "1", "--json"]
    assert run(command) == ExitCode.DONE
    figures = json.loads(capsys.readouterr().out)
    assert figures["case"]["name"] == "case_1"
    assert figures["case"]["synthetic"] is False
    assert figures["folder_cases"] == 4


@pytest.mark.parametrize("fault", [swap_labels, add_a_hundredth])
def test_a_bundle_with_a_fault_gets_no_figures(
    fault: object, tmp_path: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]
):
    bundle, out = write_bundle(tmp_path / "small.ctpbundle"), tmp_path / "figures.json"
    edit_network(bundle, fault)
    case = str(phantom_folder / "case_1")
    assert run(["benchmark", str(bundle), case, "--backend", "ort-cpu", "--out", str(out)]) == ExitCode.GUARD
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "ort-cpu chain has" in printed.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--backend", "abacus"], ExitCode.USAGE, "There is no backend 'abacus'"),
        (["--backend", "ort-cpu", "--backend", "ort-cpu"], ExitCode.USAGE, "twice"),
    ],
)
def test_a_wrong_command_is_one_sentence(
    arguments: list[str],
    code: ExitCode,
    says: str,
    tmp_path: Path,
    phantom_folder: Path,
    capsys: pytest.CaptureFixture[str],
):
    bundle = write_bundle(tmp_path / "small.ctpbundle")
    assert run(["benchmark", str(bundle), str(phantom_folder / "case_1"), *arguments]) == code
    assert says in capsys.readouterr().err


def test_two_cases_of_one_name_are_refused(tmp_path: Path, phantom_folder: Path, capsys: pytest.CaptureFixture[str]):
    bundle, case = write_bundle(tmp_path / "small.ctpbundle"), str(phantom_folder / "case_1")
    assert run(["benchmark", str(bundle), case, case]) == ExitCode.USAGE
    assert "Two cases are called case_1" in capsys.readouterr().err


def test_a_process_that_fails_is_an_error(tmp_path: Path, phantom_folder: Path):
    from ctpdeploy.benchmark.processes import run_infer
    from ctpdeploy.errors import BackendError

    with pytest.raises(BackendError, match=r"ended with exit code 4: .*nowhere"):
        run_infer(tmp_path / "nowhere", only_case(phantom_folder / "case_1"), "ort-cpu")
