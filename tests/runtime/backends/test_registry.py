"""What the registry says of backends is what the package and its metadata say."""

import importlib.metadata
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.bundles import write_bundle

from ctpdeploy.errors import BackendError, ExitCode, InputError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.registry import BACKENDS, HIDDEN, choose, open_engine, packages

HEAVY = ("onnxruntime", "openvino", "ncnn", "pycuda", "tensorrt", "tensorrt_rtx", "torch", "onnx")


def required(extra: str) -> set[str]:
    """Distributions that an extra brings, those of the extras in it among them."""
    found = set[str]()
    for line in importlib.metadata.requires("ctpdeploy") or ():
        name, _, marker = line.partition(";")
        if f"extra == '{extra}'" in marker.replace('"', "'"):
            inner = re.match(r"ctpdeploy\[([^]]*)\]", name)
            found |= required(inner[1]) if inner else {re.split(r"[^\w-]", name, maxsplit=1)[0]}
    return found


@pytest.mark.parametrize("name", BACKENDS)
def test_an_extra_brings_what_a_backend_depends_on(name: str):
    backend = BACKENDS[name]
    assert backend.packages
    if backend.extra is not None:
        for extra in backend.extra.split(","):
            assert required(extra) & set(backend.packages)
    assert name.startswith("tensorrt") is ("cuda," in (backend.extra or ""))


def test_packages_are_each_named_once():
    assert len(packages()) == len(set(packages()))
    assert {"ctpdeploy", "onnxruntime", "onnxruntime-gpu", "ncnn", "openvino", "pycuda"} <= set(packages())
    assert {"tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-rtx"} <= set(packages())


def test_no_package_is_imported_before_a_backend_is_asked_for():
    code = f"import sys, ctpdeploy.runtime.backends.registry; print({{*{HEAVY}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("registry", [BACKENDS, HIDDEN], ids=["listed", "hidden"])
def test_what_cannot_run_is_said_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: dict):
    broken = replace(BACKENDS["ort-cpu"], unavailable_because=lambda: "it is broken: mend it.")
    monkeypatch.setitem(registry, "broken", broken)
    with Bundle.open(write_bundle(tmp_path / "b.ctpbundle")) as bundle:
        with pytest.raises(BackendError) as caught:
            open_engine(bundle, "broken")
        assert choose(bundle).backend != "broken"
    assert str(caught.value) == "The backend broken cannot run: it is broken: mend it."
    assert caught.value.exit_code == ExitCode.BACKEND


@pytest.mark.parametrize("error", [RuntimeError("two\nlines"), ImportError("libmine.so"), KeyError(), MemoryError()])
def test_a_backend_that_fails_to_open_has_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception):
    def fails(_: Bundle) -> Engine:
        raise error

    monkeypatch.setitem(BACKENDS, "mine", Backend(extra=None, packages=(), open=fails))
    with Bundle.open(write_bundle(tmp_path / "b.ctpbundle")) as bundle, pytest.raises(BackendError) as caught:
        open_engine(bundle, "mine")
    assert str(caught.value).startswith(f"The backend mine did not open ({type(error).__name__}: ")
    assert str(caught.value).endswith("): choose another with --backend.")
    assert str(caught.value).isprintable()
    assert caught.value.exit_code == ExitCode.BACKEND
    assert caught.value.__cause__ is error


def test_a_refusal_of_ours_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuses(_: Bundle) -> Engine:
        raise InputError("damaged")

    monkeypatch.setitem(BACKENDS, "mine", Backend(extra=None, packages=(), open=refuses))
    with Bundle.open(write_bundle(tmp_path / "b.ctpbundle")) as bundle, pytest.raises(InputError, match=r"^damaged$"):
        open_engine(bundle, "mine")
