"""The look into an ONNX file: what ONNX itself wrote is read rightly, and no bytes end in anything but a refusal."""

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support import bundles

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.bundle.onnx_check import check_onnx

SIZE = bundles.SIZE


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = bundles.write_bundle(tmp_path_factory.mktemp("onnx") / "small.ctpbundle")
    return (folder / "pipeline.onnx").read_bytes()


def check(content: bytes) -> None:
    check_onnx(
        content,
        inputs={"features": ["N", 5, SIZE, SIZE]},
        outputs={"probability": ["N", SIZE, SIZE]},
        opset=20,
        where="pipeline.onnx",
    )


def with_weights(network: bytes, *weights: onnx.TensorProto) -> bytes:
    model = onnx.ModelProto.FromString(network)
    model.graph.initializer.extend(weights)
    return model.SerializeToString()


def test_every_exported_network_passes(bundle_folder: Path):
    bundle = Bundle.open(bundle_folder)
    for name in bundle.networks:
        assert bundle.network_file(name).is_file()


@pytest.mark.parametrize("kind", ["float32", "float16", "float64", "int8", "uint8", "int32", "int64", "bool"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 1, 3)])
def test_weights_of_every_type_pass_raw_and_as_numbers(network: bytes, kind: str, shape: tuple[int, ...]):
    array = np.ones(shape, dtype=kind)
    raw = numpy_helper.from_array(array, "raw")
    numbers = helper.make_tensor("numbers", helper.np_dtype_to_tensor_dtype(array.dtype), shape, array.ravel().tolist())
    check(with_weights(network, raw, numbers))
    raw.dims[:] = [*shape, 4]
    if array.size:
        with pytest.raises(InputError, match="'raw' are not as large"):
            check(with_weights(network, raw))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE])
@pytest.mark.parametrize("raw", [True, False])
def test_numbers_that_are_none_are_found(network: bytes, value: float, kind: int, raw: bool):
    values = np.array([1.0, value, 2.0], helper.tensor_dtype_to_np_dtype(kind))
    bad = numpy_helper.from_array(values, "bad") if raw else helper.make_tensor("bad", kind, [3], values.tolist())
    with pytest.raises(InputError, match="'bad' hold NaN or infinity"):
        check(with_weights(network, bad))


def test_bfloat16_is_refused(network: bytes):
    bad = helper.make_tensor("bad", TensorProto.BFLOAT16, [1], [1.0])
    with pytest.raises(InputError, match="'bad' have a type that no network here has"):
        check(with_weights(network, bad))


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_random_bytes_are_refused(content: bytes):
    with pytest.raises(InputError):
        check(content)


@given(data=st.data())
@settings(max_examples=300)
def test_any_damage_ends_in_a_refusal_or_in_a_network(network: bytes, data: st.DataObject):
    content = bytearray(network)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, 2 * len(content))) :]
    with contextlib.suppress(InputError):
        check(bytes(content))


def test_a_truncated_network_is_refused_wherever_it_ends(network: bytes):
    check(network)
    for end in range(len(network)):
        with pytest.raises(InputError):
            check(network[:end])
