"""The raw case: small, and such that every other K finds another window."""

from dataclasses import replace

import numpy as np
import pytest

from ctpdeploy.export.raw_case import make_raw_case
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess


@pytest.mark.parametrize("run_length", [1, 2, 5, 9])
@pytest.mark.parametrize("frames", [2, 6, 30])
def test_no_other_run_length_finds_the_same_frames(phantom_case: Case, run_length: int, frames: int):
    constants = PreprocessConfig(slice_shape=(64, 64), run_length=run_length, frames=frames)
    raw = make_raw_case(phantom_case, constants, PerfusionConfig())
    window = preprocess(raw.case, constants)[1]
    assert not window.findings
    for other in {*range(1, 2 * run_length + 5)} - {run_length}:
        made = preprocess(raw.case, replace(constants, run_length=other))[0].frames
        assert np.abs(made - raw.expected.frames).max() > 1e-2, other


def test_the_networks_see_nothing_of_what_was_done_to_the_air(phantom_case: Case):
    """Where they look at it at all: air is 0 to them."""
    constants = PreprocessConfig(slice_shape=(64, 64))
    raw = make_raw_case(phantom_case, constants, PerfusionConfig())
    assert raw.case.series.dtype == np.int16
    assert (raw.case.maps["cbf"] > 0).sum() > 500
    air = raw.case.series.max(axis=0) < 0
    assert air.mean() > 0.1
    assert not raw.expected.frames.transpose(1, 0, 2, 3)[:, air].any()


def test_a_large_patient_is_made_coarse_unless_that_hides_its_arteries(
    phantom_case: Case, monkeypatch: pytest.MonkeyPatch
):
    constants = PreprocessConfig(slice_shape=(64, 64))
    grown = replace(phantom_case, series=phantom_case.series.repeat(4, axis=2).repeat(4, axis=3))
    raw = make_raw_case(grown, constants, PerfusionConfig())
    assert raw.case.series.shape[1:] == (2, 128, 128)
    assert raw.case.geometry.spacing[1:] == tuple(2 * side for side in phantom_case.geometry.spacing[1:])
    monkeypatch.setattr("ctpdeploy.export.raw_case._SIDE", 4)
    assert make_raw_case(phantom_case, constants, PerfusionConfig()).case.series.shape[1:] == (2, 64, 64)
