import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest
from support import bundles

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu
from ctpdeploy.runtime.backends.trt import TENSORRT_PACKAGES, build_options, last_build_options, user_engine_cache
from ctpdeploy.runtime.gate.reference import FILE as REFERENCE
from ctpdeploy.runtime.gate.reference import Reference


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def command(bundle_folder: Path) -> list[str]:
    pytest.importorskip("tensorrt_rtx")
    return ["warmup", str(bundle_folder), "--backend", "tensorrt-rtx", "--gpus", "portable", "--slices", "1,2,4"]


def test_help_teaches(capsys: pytest.CaptureFixture[str]):
    assert run(["warmup", "--help"]) == ExitCode.DONE
    text = " ".join(capsys.readouterr().out.split())
    assert "Example: ctpdeploy warmup" in text
    assert "What was warmed up last is what infer takes" in text


def test_an_engine_is_built_once(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(command) == ExitCode.DONE
    first = capsys.readouterr()
    assert "tensorrt-rtx 1." in first.out
    assert "fp32, proved: 67 convolution FLOAT, 12 deconvolution FLOAT" in first.out
    assert "MB" in first.out
    assert "this build" in first.out
    assert str(tmp_path / "cache" / "ctpdeploy" / "engines") in first.out
    assert (tmp_path / "data" / "ctpdeploy" / "engine-secret").stat().st_mode & 0o777 == 0o600
    assert run([*command, "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    assert not findings["built"]
    assert findings["bytes"] > 100_000
    assert findings["ingredients"]["slices"] == [1, 2, 4]
    assert findings["layers"]["CONVOLUTION"] == {"FLOAT": 67}
    file = Path(findings["file"])
    file.write_bytes(file.read_bytes()[:-1])
    assert run(command) == ExitCode.DONE
    again = capsys.readouterr()
    assert "is not used, because it is damaged" in again.err
    assert "this build" in again.out


def test_engines_lie_where_they_are_asked_to(command: list[str], tmp_path: Path):
    assert run([*command, "--cache", str(tmp_path / "mine"), "--gpus", "8.6,8.9"]) == ExitCode.DONE
    assert len(list((tmp_path / "mine").glob("*.engine"))) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("backend", "extra"), [("tensorrt", "tensorrt"), ("tensorrt-rtx", "rtx")])
def test_without_a_package_it_is_one_sentence_and_exit_five(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backend: str, extra: str
):
    for module in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, module, None)
    assert run(["warmup", str(bundle_folder), "--backend", backend]) == ExitCode.BACKEND
    error = capsys.readouterr().err
    assert error.startswith(f"Error: No engine of {backend} can be built here.")
    assert error.count("\n") == 1
    assert f"install ctpdeploy with its extra {extra}" in error


def test_the_fastest_is_measured_and_taken_from_then_on(
    bundle_folder: Path, phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    case, out = str(phantom_folder / "case_1"), tmp_path / "results"
    assert run(["infer", str(bundle_folder), case, "--out", str(out), "--json"]) == ExitCode.DONE
    (report,) = json.loads(capsys.readouterr().out)["cases"]
    assert report["engine"]["backend"] == "ort-cpu"
    assert "found by ctpdeploy warmup" in report["backend_because"]

    assert run(["warmup", str(bundle_folder), "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    seconds = findings["seconds_per_slice"]
    assert {"ort-cpu", "ncnn", "openvino"} <= set(seconds)
    assert list(seconds.values()) == sorted(seconds.values())
    assert set(findings["gate"]) == set(seconds)
    assert "tensorrt" in findings["refused"]

    file = Path(findings["file"])
    for fastest in ("ncnn", "openvino"):
        kept = json.loads(file.read_text())
        kept["seconds"] = {**dict.fromkeys(seconds, 0.5), fastest: 0.25}
        file.write_text(json.dumps(kept))
        assert run(["infer", str(bundle_folder), case, "--out", str(out), "--json"]) == ExitCode.DONE
        (report,) = json.loads(capsys.readouterr().out)["cases"]
        assert report["engine"]["backend"] == fastest
        assert report["backend_requested"] == "auto"
        assert f"fastest that can run here, of {fastest} 0.25 s, " in report["backend_because"]


def test_the_table_says_what_auto_takes(bundle_folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["warmup", str(bundle_folder)]) == ExitCode.DONE
    said = capsys.readouterr()
    assert "times the fastest" in said.out
    assert "There is no NVIDIA driver" in said.out
    assert "From now on --backend auto takes " in said.err


def test_a_backend_that_fails_the_gate_is_not_ranked(bundle_folder: Path, tmp_path: Path):
    """The reference of another network: no backend can hold, and nothing is remembered."""
    copy = Path(shutil.copytree(bundle_folder, tmp_path / "copy.ctpbundle"))
    reference = Reference.load(copy / REFERENCE, called=copy)
    dataclasses.replace(reference, outputs={k: v + 0.1 for k, v in reference.outputs.items()}).save(copy / REFERENCE)
    bundles.reseal(copy)
    assert run(["warmup", str(copy)]) == ExitCode.GUARD
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("speeds/*"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--slices", "8"],
        ["--slices", "8,4,2"],
        ["--slices", "0,1,2"],
        ["--slices", "a,b,c"],
        ["--gpus", "ampere"],
        ["--gpus", "8.6;8.9"],
        ["--backend", "cuda"],
    ],
)
def test_usage_errors_exit_with_two(command: list[str], arguments: list[str]):
    assert run([*command, *arguments]) == ExitCode.USAGE


@pytest.mark.parametrize("option", ["--slices=1,2,4", "--gpus=portable", "--cache=mine"])
def test_what_shapes_an_engine_needs_one(bundle_folder: Path, option: str, capsys: pytest.CaptureFixture[str]):
    assert run(["warmup", str(bundle_folder), option]) == ExitCode.USAGE
    assert "name the one to build with --backend" in capsys.readouterr().err


def test_a_folder_that_is_no_bundle_is_refused(command: list[str], tmp_path: Path):
    assert run(["warmup", str(tmp_path), *command[2:]]) == ExitCode.INPUT


def test_a_gpu_that_the_package_does_not_know_exits_with_five(command: list[str], capsys: pytest.CaptureFixture[str]):
    assert run([*command, "--gpus", "9.0"]) == ExitCode.BACKEND
    assert "does not build for compute capability 9.0" in capsys.readouterr().err


def test_infer_takes_what_was_warmed_up_last(command: list[str], bundle_folder: Path):
    assert run([*command, "--gpus", "8.6,8.9"]) == ExitCode.DONE
    gpu = Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=20 << 30)
    with pytest.MonkeyPatch.context() as patch, Bundle.open(bundle_folder) as bundle:
        patch.setattr(build_options, "probe", lambda: Driver(cuda="13.0", gpus=(gpu,)))
        chosen = last_build_options(bundle, TENSORRT_PACKAGES["tensorrt-rtx"], user_engine_cache())
    assert chosen.slices == (1, 2, 4)
    assert chosen.target.capabilities == ("8.6", "8.9")
