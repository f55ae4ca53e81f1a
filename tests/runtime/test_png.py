"""Pixels as PNG, as another library reads them."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from ctpdeploy.runtime.png import png_bytes


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 3), (513, 2, 3)])
def test_pixels_come_back(shape: tuple[int, int, int]):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    image = Image.open(io.BytesIO(png_bytes(pixels)))
    image.verify()  # checksums
    image = Image.open(io.BytesIO(png_bytes(pixels)))
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert_array_equal(np.asarray(image), pixels)


def test_a_view_in_another_order_is_no_other_picture():
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert_array_equal(np.asarray(Image.open(io.BytesIO(png_bytes(pixels[::-1])))), pixels[::-1])


def test_a_black_page_is_small():
    assert len(png_bytes(np.zeros((1000, 1000, 3), dtype=np.uint8))) < 50_000
