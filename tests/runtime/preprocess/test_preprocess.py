import dataclasses

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.config import to_dict
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.data.case import Case, Geometry
from ctpdeploy.runtime.preprocess.preprocess import (
    FEATURE_NAMES,
    PreprocessConfig,
    preprocess,
    scale_dwi,
    stored_config,
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


def test_frames_may_be_means_of_their_share_of_the_window():
    case, config = make_case(), PreprocessConfig(slice_shape=(32, 48), frame_means=True)
    batch, window = preprocess(case, config)
    assert [end for _, end in window.spans[:-1]] == [first for first, _ in window.spans[1:]]
    shares = [case.series[first:end].astype(np.float64).mean(axis=0) for first, end in window.spans]
    assert_allclose(batch.frames, np.clip(np.stack(shares, axis=1) / 200, 0, 1), atol=2e-7)
    single = preprocess(case, PreprocessConfig(slice_shape=(32, 48)))[0]
    assert np.abs(batch.frames - single.frames).max() > 1e-3
    assert_array_equal(batch.features, single.features)
