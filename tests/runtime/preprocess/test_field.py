import dataclasses

import pytest
from support.heads import head

from ctpdeploy.runtime import Case
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
    case = head((115.0, 115.0), (230, 230), 1.0, radius=80 + millimetres)
    found = inspect_field(case, PreprocessConfig(slice_shape=(160, 160), pixel_mm=1.0))
    assert bool(found) == said
