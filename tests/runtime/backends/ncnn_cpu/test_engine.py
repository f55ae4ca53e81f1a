"""What is ncnn's own: its options, its package, and what is noticed at load."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ctpdeploy.errors import BackendError, MissingPackageError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.ncnn_cpu import engine as backend
from ctpdeploy.runtime.backends.ncnn_cpu import network, translate
from ctpdeploy.runtime.backends.ncnn_cpu.engine import NAME, open_engine, unavailable_because
from ctpdeploy.runtime.backends.ncnn_cpu.layers import Layer


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Iterator[Bundle]:
    with Bundle.open(bundle_folder) as opened:
        yield opened


def test_what_runs(bundle: Bundle):
    info = open_engine(bundle).info
    assert (info.backend, info.precision) == (NAME, "fp32") == ("ncnn", "fp32")
    assert info.versions["ncnn"]


def test_no_bits_are_saved_and_threads_wait_patiently(monkeypatch: pytest.MonkeyPatch):
    seen = {}
    monkeypatch.setattr(network, "require_whole", lambda *_, **__: seen.update(os.environ) or SimpleNamespace())
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    network.ncnn_package()
    assert (seen["OMP_WAIT_POLICY"], os.environ["OMP_WAIT_POLICY"]) == ("PASSIVE", "ACTIVE")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    network.ncnn_package()
    assert "OMP_WAIT_POLICY" not in os.environ


def half_precision(options: Any) -> None:
    options.use_bf16_storage = options.use_bf16_packed = True


def swapped_classes(layer: Layer) -> Layer:
    return replace(layer, parameters={9: [0], 10: [1], 11: [0]}) if layer.kind == "Crop" else layer


def mean_of_too_little(layer: Layer) -> Layer:
    return replace(layer, kind="Noop", parameters={}) if layer.kind == "Sigmoid" else layer


def test_half_precision_is_noticed_at_load(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    options = network._set_options
    monkeypatch.setattr(
        network, "_set_options", lambda given, threads: (options(given, threads), half_precision(given))
    )
    with pytest.raises(BackendError, match="ncnn computes wrongly here: its extractor"):
        open_engine(bundle)


@pytest.mark.parametrize("fault", [swapped_classes, mean_of_too_little])
def test_a_wrong_network_is_noticed_at_load(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Layer], Layer]
):
    def spoilt(graph: Any) -> Any:
        good = translate.translate(graph)
        return replace(good, layers=[fault(layer) for layer in good.layers])

    monkeypatch.setattr(backend, "translate", spoilt)
    with pytest.raises(BackendError, match="computes wrongly here: its probability"):
        open_engine(bundle)


def test_what_ncnn_refuses(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    def unknown(graph: Any) -> Any:
        good = translate.translate(graph)
        return replace(good, layers=[replace(layer, kind=layer.kind.replace("Conv", "Corn")) for layer in good.layers])

    monkeypatch.setattr(backend, "translate", unknown)
    with pytest.raises(BackendError, match="refuses the layers of the network: use another backend"):
        open_engine(bundle)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch):
    assert unavailable_because() is None
    monkeypatch.setitem(sys.modules, "ncnn", None)
    assert unavailable_because() == "The package 'ncnn' is not installed: install ctpdeploy with its extra ncnn."
    with pytest.raises(MissingPackageError):
        network.ncnn_package()
