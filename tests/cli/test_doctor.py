"""``ctpdeploy doctor``."""

import json
import sys

import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime.backends.cuda.driver import Driver, Gpu


def test_doctor_knows_the_backends(capsys: pytest.CaptureFixture[str]):
    assert run(["doctor", "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    assert list(findings["backends"]) == [
        "tensorrt",
        "tensorrt-rtx",
        "ort-cuda",
        "ort-cpu",
        "native",
        "ncnn",
        "openvino",
    ]
    assert findings["backends"]["ort-cpu"] is None
    assert findings["backends"]["ncnn"] is None
    assert run(["doctor"]) == ExitCode.DONE
    assert "ort-cpu" in capsys.readouterr().out


def test_doctor_says_what_builds_and_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert run(["doctor", "--json"]) == ExitCode.DONE
    findings = json.loads(capsys.readouterr().out)
    assert "install ctpdeploy with its extra tensorrt" in findings["builders"]["tensorrt"]
    assert "install ctpdeploy with its extra rtx" in findings["builders"]["tensorrt-rtx"]
    assert all(findings["backends"][name] for name in findings["builders"])
    assert findings["gpus"]["found"] or findings["gpus"]["none_because"]
    assert run(["doctor"]) == ExitCode.DONE
    printed = capsys.readouterr().out
    assert "builder of engines" in printed
    assert max(len(line) for line in printed.splitlines()) <= 88  # the name of the system may be longer than a terminal
    assert " ".join(printed.split()).count("extra tensorrt.") == 1  # a reason stands once, however many share it
    assert "not ready (1)" in printed


def test_doctor_says_which_extras_are_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("ctpdeploy.cli.doctor.available", lambda module: module != "pynetdicom")
    assert run(["doctor", "--json"]) == ExitCode.DONE
    rooms = json.loads(capsys.readouterr().out)["rooms"]
    assert (rooms["dicom"], rooms["sign"], rooms["train"]) == (None, None, None)
    assert "install ctpdeploy with its extra node" in rooms["node"]
    assert run(["doctor"]) == ExitCode.DONE
    assert "push to archives" in capsys.readouterr().out


def test_doctor_names_gpu_memory_and_driver(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    gpu = Gpu(name="RTX 4000 Ada", compute_capability="8.9", memory=20_475_000_000)
    for driver, words in (
        (Driver(cuda="13.0", gpus=(gpu, gpu), release="580.65.06"), "driver 580.65.06, CUDA 13.0 or older"),
        (Driver(cuda="13.0", gpus=(gpu,)), "driver of unknown version"),
    ):
        monkeypatch.setattr("ctpdeploy.runtime.backends.cuda.driver.probe", lambda driver=driver: driver)
        assert run(["doctor"]) == ExitCode.DONE
        out = capsys.readouterr().out
        out = " ".join(out.split())
        assert "RTX 4000 Ada (20.5 GB, compute capability 8.9)" in out
        assert words in out
