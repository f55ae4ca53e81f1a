"""The scales of colour are those of the field, as matplotlib has them."""

from typing import get_args

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

from ctpdeploy.runtime.report.colours import Scale, colour_table


@pytest.mark.parametrize("scale", get_args(Scale))
def test_a_scale_is_that_of_matplotlib(scale: Scale):
    expected = mpl.colormaps[scale](np.arange(256), bytes=True)[:, :3].astype(int)
    rounding = 1 if scale == "gray" else 0  # matplotlib cuts off what rounding left below a whole number
    assert_allclose(colour_table(scale).astype(int), expected, rtol=0, atol=rounding)


@pytest.mark.parametrize("scale", get_args(Scale))
def test_a_scale_is_shared_and_cannot_be_changed(scale: Scale):
    table = colour_table(scale)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 1
