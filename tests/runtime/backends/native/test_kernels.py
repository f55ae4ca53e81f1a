"""The kernels against NumPy in float64, on images of any size and of what is left to do when they are read."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.native.kernels import Kernels
from ctpdeploy.runtime.backends.native.lazy_tensor import PendingTensor
from ctpdeploy.runtime.backends.native.operators import IMAGE_OPERATORS, OperatorContext
from ctpdeploy.runtime.backends.onnx_graph.graph import Node
from ctpdeploy.runtime.backends.onnx_graph.numpy_reference import OPERATORS

SIZES = st.tuples(st.integers(1, 21), st.integers(1, 21))
CHANNELS = st.integers(1, 40)

DIRECT = 6e-7
"""Of the largest difference, in units of what was added up: sums of up to 441 products in float32."""

WINOGRAD = 1e-6
"""Likewise."""


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return Kernels(3)


def drawn(kernels: Kernels, seed: int, size: tuple[int, int], channels: int) -> tuple[PendingTensor, np.ndarray]:
    """An image with some of scale, shift and ReLU, and the same in float64."""
    random = np.random.default_rng(seed)
    values = random.normal(1, 1, (1, channels, *size)).astype(np.float32)
    image, exact = kernels.image(values), values.astype(np.float64)
    if seed % 3 == 0:
        scale, shift = random.normal(size=(2, channels))
        image, exact = image.affine(scale, shift), exact * scale[:, None, None] + shift[:, None, None]
    if seed % 2 == 0:
        image, exact = image.rectified(), np.maximum(exact, 0)
    return image, exact


def numpy_of(operator: str, *operands: np.ndarray, **attributes: Any) -> np.ndarray:
    return OPERATORS[operator](Node(operator=operator, inputs=(), output="", attributes=attributes), *operands)


def close(found: np.ndarray, expected: np.ndarray, tolerance: float, size: float | None = None) -> bool:
    """Whether the largest difference is small beside what was added up, the largest value by default."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() <= tolerance * (size or np.abs(expected).max()) + 1e-12


def sum_of_sizes(x: np.ndarray, weight: np.ndarray) -> float:
    """What the products of a convolution may add up to when none cancels another."""
    return float((np.abs(weight).sum(axis=(2, 3)) @ np.abs(x).max(axis=(0, 2, 3))).max())


@given(seed=st.integers(0, 11), size=SIZES, parts=st.lists(CHANNELS, min_size=1, max_size=3), outputs=CHANNELS)
def test_a_convolution_by_winograd(kernels: Kernels, seed: int, size: tuple[int, int], parts: list[int], outputs: int):
    images, exact = zip(*(drawn(kernels, seed + i, size, part) for i, part in enumerate(parts)), strict=True)
    random = np.random.default_rng(seed)
    weight, bias = random.normal(size=(outputs, sum(parts), 3, 3)), random.normal(size=outputs)
    weight, bias = weight.astype(np.float32), bias.astype(np.float32)
    packed = kernels.pack(weight, bias, images, winograd=True)
    found = kernels.array(kernels.convolve_3x3(images, packed))
    expected = numpy_of("Conv", np.concatenate(exact, axis=1), weight, bias.astype(np.float64), pads=[1, 1, 1, 1])
    assert close(found, expected, WINOGRAD, sum_of_sizes(np.concatenate(exact, axis=1), weight))


@pytest.mark.parametrize("channels", [(64, 32), (256, 48), (520, 520)])
def test_a_convolution_whose_weights_fill_the_cache(kernels: Kernels, channels: tuple[int, int]):
    """Then all threads share the tiles, and each does some of the outputs."""
    inputs, outputs = channels
    image, exact = drawn(kernels, 0, (45, 46), inputs)
    weight = np.random.default_rng(1).normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    found = kernels.array(kernels.convolve_3x3([image], kernels.pack(weight, None, [image], winograd=True)))
    expected = numpy_of("Conv", exact, weight.astype(np.float64), pads=[1, 1, 1, 1])
    assert close(found, expected, WINOGRAD, sum_of_sizes(exact, weight))


def test_the_points_of_winograd_round_little(kernels: Kernels):
    """Largest difference by largest value: 2.8e-6 measured, 9.8e-6 with the points 0, +-1, +-2."""
    random = np.random.default_rng(2)
    x, weight = (random.normal(size=size).astype(np.float32) for size in ((1, 256, 32, 32), (16, 256, 3, 3)))
    image = kernels.image(x)
    found = kernels.array(kernels.convolve_3x3([image], kernels.pack(weight, None, [image], winograd=True)))
    expected = numpy_of("Conv", x.astype(np.float64), weight.astype(np.float64), pads=[1, 1, 1, 1])
    assert close(found, expected, 4.5e-6)


@given(
    seed=st.integers(0, 11),
    size=SIZES,
    kernel=st.sampled_from([(1, 1), (3, 3), (7, 7), (2, 3)]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    outputs=CHANNELS,
)
def test_any_other_convolution(
    kernels: Kernels, seed: int, size: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, outputs: int
):
    if size[0] + 2 * padding < kernel[0] or size[1] + 2 * padding < kernel[1]:
        return
    image, exact = drawn(kernels, seed, size, 9)
    weight = np.random.default_rng(seed).normal(size=(outputs, 9, *kernel)).astype(np.float32)
    packed = kernels.pack(weight, None, [image], winograd=False)
    found = kernels.array(kernels.convolve([image], packed, stride, padding))
    expected = numpy_of("Conv", exact, weight.astype(np.float64), strides=[stride] * 2, pads=[padding] * 4)
    assert close(found, expected, DIRECT, sum_of_sizes(exact, weight))


@given(seed=st.integers(0, 11), size=SIZES, channels=CHANNELS, outputs=CHANNELS)
def test_doubling(kernels: Kernels, seed: int, size: tuple[int, int], channels: int, outputs: int):
    image, exact = drawn(kernels, seed, size, channels)
    weight = np.random.default_rng(seed).normal(size=(channels, outputs, 2, 2)).astype(np.float32)
    node = Node(operator="ConvTranspose", inputs=(), output="y", attributes={"strides": [2, 2]})
    made = IMAGE_OPERATORS["ConvTranspose"](OperatorContext(kernels), node, image, weight)
    found = kernels.array(made)
    expected = numpy_of("ConvTranspose", exact, weight.astype(np.float64), strides=[2, 2])
    assert close(found, expected, DIRECT, sum_of_sizes(exact, weight.swapaxes(0, 1)))


@given(seed=st.integers(0, 11), size=SIZES, kernel=st.integers(1, 3), stride=st.integers(1, 2))
def test_pooling(kernels: Kernels, seed: int, size: tuple[int, int], kernel: int, stride: int):
    padding = kernel // 2
    if min(size) + 2 * padding < kernel:
        return
    image, exact = drawn(kernels, seed, size, 11)
    found = kernels.array(kernels.max_pool(image, (kernel, kernel), stride, padding))
    window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    assert close(found, numpy_of("MaxPool", exact, **window), DIRECT)


@given(seed=st.integers(0, 11), size=SIZES, channels=CHANNELS, far=st.sampled_from([0.0, 1e3]))
def test_moments(kernels: Kernels, seed: int, size: tuple[int, int], channels: int, far: float):
    """The variance survives a mean that is a thousand times larger."""
    values = (np.random.default_rng(seed).normal(size=(1, channels, *size)) + far).astype(np.float32)
    image, exact = kernels.image(values), values.astype(np.float64)
    if seed % 2:
        image, exact = image.rectified(), np.maximum(exact, 0)
    mean, variance = kernels.moments(image)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 2, 3)), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(variance, exact.var(axis=(0, 2, 3)), rtol=2e-5, atol=1e-9)


@given(seed=st.integers(0, 11), size=SIZES, channels=CHANNELS)
def test_sums_and_doubled_pixels(kernels: Kernels, seed: int, size: tuple[int, int], channels: int):
    (first, a), (second, b) = (drawn(kernels, seed + i, size, channels) for i in range(2))
    assert close(kernels.array(kernels.materialised([first, second])), a + b, DIRECT)
    assert close(kernels.array(kernels.upsample2x(first)), a.repeat(2, axis=2).repeat(2, axis=3), DIRECT)


def test_what_goes_past_a_relu(kernels: Kernels):
    image, exact = drawn(kernels, 6, (3, 4), 2)
    scaled = image.affine(np.array([2.0, 0.5]))
    assert scaled is not None
    assert close(kernels.array(scaled), exact * np.array([2.0, 0.5])[:, None, None], DIRECT)
    assert image.affine(np.array([2.0, -0.5])) is None
    assert image.affine(1.0, 0.5) is None


@pytest.mark.parametrize("make", [lambda k, i: k.materialised([i]), lambda k, i: k.max_pool(i, (1, 1), 1, 0)])
def test_nan_stays_nan(kernels: Kernels, make: Callable[[Kernels, PendingTensor], PendingTensor]):
    values = np.ones((1, 3, 4, 4), np.float32)
    values[0, 1, 2, 3] = np.nan
    found = kernels.array(make(kernels, kernels.image(values).rectified()))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))


def test_memory_is_used_again_and_never_shared(kernels: Kernels):
    first = kernels.image(np.ones((1, 8, 5, 5), np.float32))
    where = first.pixels.array.ctypes.data
    second = kernels.image(np.zeros((1, 8, 5, 5), np.float32))
    assert second.pixels.array.ctypes.data != where
    kept = first.rectified()
    del first
    third = kernels.image(np.zeros((1, 8, 5, 5), np.float32))
    assert third.pixels.array.ctypes.data != where
    assert kernels.array(kept).min() == 1
    del kept
    assert kernels.image(np.zeros((1, 8, 5, 5), np.float32)).pixels.array.ctypes.data == where


def test_memory_that_runs_out_is_said(kernels: Kernels, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernels, "_library", type("Full", (), {"ctp_upsample2x": staticmethod(lambda *_: False)}))
    image = Kernels(1).image(np.ones((1, 8, 5, 5), np.float32))
    with pytest.raises(BackendError, match="not enough memory"):
        kernels.upsample2x(image)
