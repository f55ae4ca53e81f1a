"""The part of the field that holds the head."""

import numpy as np

from ctpdeploy.phantom.crop import MARGIN, Crop


def test_cut_and_paste_are_inverse_within_and_air_outside() -> None:
    mask = np.zeros((2, 30, 20), dtype=bool)
    mask[0, 10:15, 8], mask[1, 12, 9:12] = True, True
    crop = Crop.around(mask)
    assert (crop.rows, crop.columns) == (slice(10 - MARGIN, 15 + MARGIN), slice(8 - MARGIN, 12 + MARGIN))
    field = np.random.default_rng(0).random((4, 30, 20))
    pasted = crop.paste(crop.cut(field), around=-1.0)
    np.testing.assert_array_equal(crop.cut(pasted), crop.cut(field))
    assert (pasted == -1).sum() == field.size - crop.cut(field).size


def test_a_part_of_a_part_is_a_part_of_the_whole() -> None:
    field = np.random.default_rng(0).random((4, 30, 20))
    outer = Crop(rows=slice(3, 27), columns=slice(5, 18), shape=(30, 20))
    inner = Crop(rows=slice(2, 11), columns=slice(4, 13), shape=(24, 13))
    both = inner.within(outer)
    np.testing.assert_array_equal(both.cut(field), inner.cut(outer.cut(field)))
    assert both.shape == (30, 20)


def test_of_nothing_it_is_the_whole_field() -> None:
    crop = Crop.around(np.zeros((1, 5, 6), dtype=bool))
    assert (crop.rows, crop.columns) == (slice(0, 5), slice(0, 6))
