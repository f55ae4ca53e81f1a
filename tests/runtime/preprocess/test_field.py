import dataclasses

import numpy as np
import pytest

from ctpdeploy.runtime import Case, case_from_arrays
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.preprocess.field import inspect_field
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig


def test_a_brain_beyond_the_field_is_said_and_no_other(phantom_case: Case):
    whole = PreprocessConfig(slice_shape=(96, 80), pixel_mm=2.0)
    assert inspect_field(phantom_case, whole) == ()
    assert inspect_field(phantom_case, PreprocessConfig()) == ()
    (found,) = inspect_field(phantom_case, dataclasses.replace(whole, slice_shape=(96, 48)))
    assert found.code == "brain-beyond-field"
    assert "the 192 x 96 mm" in found.sentence


@pytest.mark.parametrize(("millimetres", "said"), [(3.0, False), (8.0, True)])
def test_the_sulci_of_a_long_brain_are_no_finding(millimetres: float, said: bool):
    pixels = np.hypot(*np.mgrid[-100:100, -100:100])
    image = np.where(pixels < 80 + millimetres, 35.0, np.where(pixels < 90, 900.0, -1000.0)).astype(np.float32)
    series = np.stack([np.stack([image] * 2)] * 20)
    maps = {name: np.ones_like(series[0]) for name in MAP_NAMES}
    case = case_from_arrays(series, np.arange(20.0), spacing=(5.0, 1.0, 1.0), maps=maps)
    found = inspect_field(case, PreprocessConfig(slice_shape=(160, 160), pixel_mm=1.0))
    assert bool(found) == said
