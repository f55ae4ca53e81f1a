"""What is made of the words of an engine's inspector; the words are those of published examples."""

import json
from types import SimpleNamespace

import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda.driver import Gpu
from ctpdeploy.runtime.backends.trt import BuildOptions, Target, warmup
from ctpdeploy.runtime.backends.trt.inspector import inspect_engine, prove_engine


def layer(*formats: str, weights: str | None = None) -> dict[str, object]:
    tensors = [{"Name": "x", "Dimensions": [1, 3, 8, 8], "Format/Datatype": text} for text in formats]
    described: dict[str, object] = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": tensors, "Outputs": []}
    return described if weights is None else described | {"Weights": {"Type": weights, "Count": 9}}


SINGLE = layer("Row major linear FP32", "Float")
HALF = layer("Channel major FP16 format where channel % 4 == 0")
OLD_HALF = layer("Half", weights="Half")
INT8 = layer("Thirty-two wide channel vectorized row major Int8 format.", weights="Int8")
UNTOLD = layer("N/A due to dynamic shapes")
BY_WEIGHTS = layer("N/A due to dynamic shapes", weights="Half")


@pytest.mark.parametrize(
    ("layers", "precision", "figures"),
    [
        ([SINGLE, SINGLE], "fp32", {"FLOAT": 2, "UNTOLD": 0}),
        ([SINGLE, HALF, OLD_HALF, BY_WEIGHTS], "fp16", {"FLOAT": 1, "HALF": 3, "UNTOLD": 0}),
        ([SINGLE, INT8, UNTOLD], "int8", {"FLOAT": 1, "INT8": 1, "UNTOLD": 1}),
        (["conv + relu", UNTOLD], "fp16", {"UNTOLD": 2}),
    ],
)
def test_what_layers_say_is_counted(layers: list[object], precision: str, figures: dict[str, int]):
    assert prove_engine(layers, precision) == figures


@pytest.mark.parametrize(
    ("layers", "precision"),
    [
        ([SINGLE, HALF], "fp32"),
        ([SINGLE, INT8], "fp16"),
        ([SINGLE, SINGLE], "fp16"),
        ([SINGLE, HALF], "int8"),
        ([layer("Row major linear BF16")], "fp16"),
    ],
)
def test_another_precision_is_an_error_with_the_figures(layers: list[object], precision: str):
    with pytest.raises(BackendError, match=rf"The engine is not {precision}, its layers work in other formats \(\d "):
        prove_engine(layers, precision)


def package(text: str | None) -> SimpleNamespace:
    """As much of the package as is asked, with an engine that says ``text``, or none."""
    inspector = SimpleNamespace(get_engine_information=lambda _: text)
    engine = None if text is None else SimpleNamespace(create_engine_inspector=lambda: inspector)

    class Logger:
        def __init__(self) -> None: ...

    return SimpleNamespace(
        __name__="tensorrt",
        __version__="10.16",
        ILogger=type("ILogger", (Logger,), {"INTERNAL_ERROR": 0, "ERROR": 1}),
        LayerInformationFormat=SimpleNamespace(JSON=1),
        Runtime=lambda _: SimpleNamespace(deserialize_cuda_engine=lambda _: engine),
    )


def test_an_engine_is_asked():
    assert inspect_engine(package(json.dumps({"Layers": [SINGLE]})), b"engine") == [SINGLE]
    with pytest.raises(BackendError, match="does not open its engine of 0 MB"):
        inspect_engine(package(None), b"engine")
    for text in ("", "[]", "{}"):
        with pytest.raises(BackendError, match="describes its engine in a way that is not known"):
            inspect_engine(package(text), b"engine")


def test_only_the_gpu_that_it_is_for_is_asked(monkeypatch: pytest.MonkeyPatch):
    here, other = (
        Gpu(name="RTX", compute_capability="8.9", memory=8 << 30),
        Gpu(name="T4", compute_capability="7.5", memory=15 << 30),
    )
    told = package(json.dumps({"Layers": [HALF]}))
    assert warmup._inspected_formats(told, b"engine", BuildOptions(target=Target(), precision="fp16")) is None, (
        "there is no driver"
    )
    monkeypatch.setattr(warmup, "probe", lambda: SimpleNamespace(gpus=(here,)))
    for target, expected in (
        (Target(gpu=here), {"HALF": 1, "UNTOLD": 0}),
        (Target(capabilities=("8.6", "8.9")), {"HALF": 1, "UNTOLD": 0}),
        (Target(gpu=other), None),
        (Target(capabilities=("7.5",)), None),
        (Target(), None),
    ):
        assert warmup._inspected_formats(told, b"engine", BuildOptions(target=target, precision="fp16")) == expected
