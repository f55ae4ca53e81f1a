from types import ModuleType

import pytest
from support.small_networks import INPUTS, OUTPUTS, fp16_network, fp32_network, half_quantised_product, int8_network

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.parse import parse
from ctpdeploy.runtime.backends.trt.precision import count_types, prove

NETWORKS = {
    "fp32": fp32_network,
    "fp16": fp16_network,
    "fp16 statistics": lambda: fp16_network(reduce_in_half=True),
    "int8": int8_network,
    "int8 data": lambda: int8_network(weights_too=False),
    "int8 data of a product": half_quantised_product,
}
FIGURES = {
    "fp32": {"CONVOLUTION": {"FLOAT": 1}, "REDUCE": {"FLOAT": 1}},
    "fp16": {"CONVOLUTION": {"HALF": 1}, "OTHER": {"FLOAT": 2, "HALF": 2}, "REDUCE": {"FLOAT": 1}},
    "fp16 statistics": {"CONVOLUTION": {"HALF": 1}, "OTHER": {"FLOAT": 2, "HALF": 2}, "REDUCE": {"HALF": 1}},
    "int8": {"CONVOLUTION": {"INT8": 1}, "OTHER": {"FLOAT": 7, "INT8": 4}, "REDUCE": {"FLOAT": 1}},
    "int8 data": {"CONVOLUTION": {"FLOAT": 1}, "REDUCE": {"FLOAT": 1}},
    "int8 data of a product": {"MATRIX_MULTIPLY": {"FLOAT": 1}, "REDUCE": {"FLOAT": 1}},
}


def network(trt: ModuleType, name: str):
    parsed = parse(trt, NETWORKS[name](), inputs=INPUTS, outputs=OUTPUTS)
    return parsed, parsed.network


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_counted_by_the_format_in_which_they_work(trt: ModuleType, name: str):
    _owner, layers = network(trt, name)
    figures = count_types(layers)
    assert {kind: figures[kind] for kind in FIGURES[name] if kind != "OTHER"} == {
        kind: counts for kind, counts in FIGURES[name].items() if kind != "OTHER"
    }
    if name in ("fp16", "int8"):
        assert figures["OTHER"] == FIGURES[name]["OTHER"]


@pytest.mark.parametrize(("name", "precision"), [("fp32", "fp32"), ("fp16", "fp16"), ("int8", "int8")])
def test_a_network_of_the_precision_asked_for_is_proved(trt: ModuleType, name: str, precision: str):
    _owner, layers = network(trt, name)
    assert prove(layers, precision) == count_types(layers)


@pytest.mark.parametrize(
    ("name", "precision", "fault"),
    [
        (
            "fp16",
            "fp32",
            r"not fp32, it has CONVOLUTION in HALF and OTHER in HALF and no layer that multiplies in FLOAT",
        ),
        ("int8", "fp32", r"CONVOLUTION in INT8"),
        ("fp32", "fp16", r"no layer that multiplies in HALF \(layers: 1 CONVOLUTION FLOAT"),
        ("fp16 statistics", "fp16", r"REDUCE in HALF"),
        ("int8", "fp16", r"CONVOLUTION in INT8"),
        ("fp32", "int8", r"no layer that multiplies in INT8"),
        ("fp16", "int8", r"no layer that multiplies in INT8"),
        ("int8 data", "int8", r"no layer that multiplies in INT8"),
        ("int8 data of a product", "int8", r"no layer that multiplies in INT8"),
    ],
)
def test_a_network_of_another_precision_is_refused_with_the_figures(
    trt: ModuleType, name: str, precision: str, fault: str
):
    _owner, layers = network(trt, name)
    with pytest.raises(BackendError, match=fault):
        prove(layers, precision)
