"""HU and back."""

import numpy as np
import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.phantom.dicom.pixels import Pixels, field_of_view

HU = np.array([[-1024, -7, 0], [40, 1500, 3071]], dtype=np.int16)


@pytest.mark.parametrize(
    "pixels",
    [
        Pixels(),
        Pixels(intercept=-1024.0),
        Pixels(signed=False, bits=12, intercept=-1024.0),
        Pixels(bits=12, intercept=1024.0),
        Pixels(slope=0.5, intercept=-512.0),
    ],
    ids=str,
)
def test_hu_come_back_from_what_is_stored(pixels: Pixels):
    pixels.require(int(HU.min()), int(HU.max()))
    stored = pixels.store(HU)
    assert stored.dtype == (np.int16 if pixels.signed else np.uint16)
    bits = stored.view(np.uint16)
    assert not np.any(bits >> pixels.bits) if pixels.bits < 16 else True
    half = 2 ** (pixels.bits - 1)
    values = bits.astype(int)
    values = np.where(pixels.signed & (values >= half), values - 2 * half, values)
    assert np.array_equal(values * pixels.slope + pixels.intercept, HU)


@pytest.mark.parametrize(
    "pixels", [Pixels(slope=2.0), Pixels(signed=False), Pixels(bits=12), Pixels(intercept=0.5)], ids=str
)
def test_hu_that_would_be_changed_are_refused(pixels: Pixels):
    with pytest.raises(InputError, match="cannot be stored"):
        pixels.require(-1024, 3071)


def test_padding_lies_outside_and_may_be_what_hu_cannot():
    outside = ~field_of_view(*HU.shape)
    assert outside.tolist() == [[True, False, True]] * 2
    stored = Pixels(signed=False, bits=12, intercept=1500.0, padding=5).store(HU + 1600 * ~outside, outside)
    assert (stored[outside] == 5).all()


def test_a_field_of_view_is_round():
    inside = field_of_view(100, 80)
    assert inside.sum() == pytest.approx(np.pi * 40**2, rel=0.01)
    assert inside[50, 0]
    assert not inside[5].any()
