import dataclasses

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.config import to_dict
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.data.case import Case, Geometry
from ctpdeploy.runtime.preprocess.preprocess import (
    FEATURE_NAMES,
    PreprocessConfig,
    from_network_grid,
    preprocess,
    scale_dwi,
    stored_config,
    to_network_grid,
)


def make_case(shape: tuple[int, int, int] = (2, 32, 48), spacing: tuple[float, float, float] = (5.0, 1.0, 1.0)) -> Case:
    rng = np.random.default_rng(0)
    header = nib.Nifti1Header()
    header.set_data_shape(shape[::-1])
    geometry = Geometry.of_affine(np.diag([*reversed(spacing), 1.0]), shape[::-1])
    curve = np.concatenate([np.zeros(5), np.arange(10), np.arange(9, 0, -1)])[:, None, None, None]
    return Case(
        identifier="made",
        series=(rng.uniform(-50, 400, shape) + curve).astype(np.float32),
        maps={name: rng.uniform(0, 40, shape).astype(np.float32) for name in FEATURE_NAMES[:4]},
        times=np.arange(len(curve), dtype=float),
        geometry=geometry,
    )


def reference(case: Case, config: PreprocessConfig) -> tuple[np.ndarray, np.ndarray]:
    """Equation 1 and section 4.1 in float64, voxel by voxel of a case on the networks' own grid."""
    series = case.series.astype(np.float64)
    low, high = config.cta_window
    frames = [np.clip((series[t] - low) / (high - low), 0, 1) for t in preprocess(case, config)[1].frames]
    features = []
    for name in ("cbf", "cbv"):
        values = case.maps[name].astype(np.float64)
        top = np.percentile(values, config.flow_percentile)
        features.append(np.clip((values - values.min()) / (top - values.min()), 0, 1))
    features += [np.clip(case.maps[name].astype(np.float64) / config.time_window, 0, 1) for name in ("mtt", "tmax")]
    features.append(np.clip((series.max(axis=0) - low) / (high - low), 0, 1))
    return np.stack(frames, axis=1), np.stack(features, axis=1)


def test_scaling_and_channels_are_those_of_the_reference():
    case, config = make_case(), PreprocessConfig(slice_shape=(32, 48))
    batch = preprocess(case, config)[0]
    frames, features = reference(case, config)
    assert batch.frames.dtype == batch.features.dtype == np.float32
    assert batch.frames.shape == (2, 6, 32, 48)
    assert_allclose(batch.frames, frames, atol=2e-7)
    assert_allclose(batch.features, features, atol=2e-6)


def test_integer_and_float_series_give_the_same_input():
    case, config = make_case(), PreprocessConfig(slice_shape=(32, 48))
    whole = np.rint(case.series).astype(np.int16)
    as_int = preprocess(dataclasses.replace(case, series=whole), config)[0]
    as_float = preprocess(dataclasses.replace(case, series=whole.astype(np.float32)), config)[0]
    assert_array_equal(as_int.frames, as_float.frames)
    assert_array_equal(as_int.features, as_float.features)


@pytest.mark.parametrize("name", ["cbf", "cbv", "mtt", "tmax"])
def test_swapping_a_map_changes_its_channel_alone(name: str):
    case, config = make_case(), PreprocessConfig(slice_shape=(32, 48))
    changed = dataclasses.replace(case, maps={**case.maps, name: case.maps[name][:, ::-1]})
    before, after = preprocess(case, config)[0].features, preprocess(changed, config)[0].features
    different = [i for i in range(5) if not np.array_equal(before[:, i], after[:, i])]
    assert different == [FEATURE_NAMES.index(name)]


def test_an_empty_map_becomes_zero():
    case = make_case()
    case = dataclasses.replace(case, maps={**case.maps, "cbf": np.zeros_like(case.maps["cbf"])})
    assert not preprocess(case, PreprocessConfig(slice_shape=(32, 48)))[0].features[:, 0].any()


def test_dwi_runs_from_its_minimum_to_its_percentile():
    dwi = np.arange(1000, dtype=np.float32).reshape(2, 20, 25) + 7
    scaled = scale_dwi(dwi, PreprocessConfig())
    assert_allclose(scaled.ravel(), np.arange(1000) / (0.99 * 999), rtol=1e-6)  # an infarct is above the percentile
    assert_array_equal(scale_dwi(dwi, PreprocessConfig(dwi_clipped=True)), np.minimum(scaled, 1.0))


def test_constants_that_say_nothing_of_clipping_are_of_a_time_when_all_clipped():
    assert stored_config({"dwi_percentile": 98.0}, "x") == PreprocessConfig(dwi_percentile=98.0, dwi_clipped=True)
    assert stored_config(to_dict(PreprocessConfig()), "x") == PreprocessConfig()
    with pytest.raises(UsageError, match="did you mean 'dwi_clipped'"):
        stored_config({"dwi_clip": True}, "x")


@given(pixel=st.floats(0.3, 3.0))
def test_the_networks_own_grid_is_left_as_it_is(pixel: float):
    case, config = make_case(spacing=(5.0, pixel, pixel)), PreprocessConfig(slice_shape=(32, 48))
    volume = case.maps["cbf"]
    assert to_network_grid(volume, case, config) is volume
    assert from_network_grid(volume, case, config) is volume


@settings(max_examples=30)
@given(
    height=st.integers(17, 90),
    width=st.integers(17, 90),
    dy=st.floats(0.4, 2.0),
    dx=st.floats(0.4, 2.0),
    grid=st.sampled_from([(32, 32), (64, 64), (48, 96)]),
)
def test_resampling_keeps_places_and_the_way_back_returns(
    height: int, width: int, dy: float, dx: float, grid: tuple[int, int]
):
    """A linear ramp in mm stays that ramp on the other grid, and comes back as it was, away from the borders."""
    case = make_case((1, height, width), (5.0, dy, dx))
    config = PreprocessConfig(slice_shape=grid)
    y = (np.arange(height) - (height - 1) / 2) * dy
    x = (np.arange(width) - (width - 1) / 2) * dx
    ramp = (500 + 2 * y[:, None] - x[None, :])[None].astype(np.float32)
    there = to_network_grid(ramp, case, config)
    assert there.shape == (1, *grid)
    pixel = max(height * dy / grid[0], width * dx / grid[1])
    v = (np.arange(grid[0]) - (grid[0] - 1) / 2) * pixel
    u = (np.arange(grid[1]) - (grid[1] - 1) / 2) * pixel
    margin = 2 * max(pixel, dy, dx)
    tolerance = 0.1 * 3 * max(pixel, dy, dx)  # the ramp climbs by 3 per mm at most
    rows, columns = np.abs(v) < height * dy / 2 - margin, np.abs(u) < width * dx / 2 - margin
    expected = 500 + 2 * v[:, None] - u[None, :]
    assert_allclose(there[0][np.ix_(rows, columns)], expected[np.ix_(rows, columns)], atol=tolerance)
    back = from_network_grid(there, case, config)
    assert back.shape == ramp.shape
    rows, columns = np.abs(y) < height * dy / 2 - 2 * margin, np.abs(x) < width * dx / 2 - 2 * margin
    assert_allclose(back[0][np.ix_(rows, columns)], ramp[0][np.ix_(rows, columns)], atol=tolerance)


def test_outside_the_source_there_is_air():
    case = make_case((1, 20, 40))
    there = to_network_grid(np.ones((1, 20, 40), dtype=np.float32), case, PreprocessConfig(slice_shape=(64, 64)))
    assert not there[0, :15].any()
    assert not there[0, -15:].any()
    assert_allclose(there[0, 20:44], 1.0, rtol=1e-6)
