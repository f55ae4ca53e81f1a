"""The fast path against the reference: equal to the last bit on agreeing grids, within 1e-6 on others."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.cuda import CudaPreprocessor, Rescale, Workspace
from ctpdeploy.runtime.data.case import MAP_NAMES, Case
from ctpdeploy.runtime.data.slices import PerfusionWindow, SliceBatch
from ctpdeploy.runtime.preprocess.perfusion_window import accumulated_intensity
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess

MakeCase = Callable[..., Case]
Prepared = tuple[SliceBatch, PerfusionWindow]
MakeWorkspace = Callable[..., Workspace]

# 1, 7, 8, 9: about the frames that a kernel takes at once; 15, 16, 17, 33: about those of an upload
FRAMES = [2, 7, 8, 9, 15, 16, 17, 33, 50, 128]
SHAPES = [(1, 1, 1), (2, 3, 5), (3, 31, 33), (2, 16, 24), (1, 40, 56)]


def same_grid(shape: tuple[int, int, int]) -> PreprocessConfig:
    return PreprocessConfig(slice_shape=shape[1:])


def run(workspace: Workspace, case: Case, config: PreprocessConfig) -> Prepared:
    return fetched(CudaPreprocessor(workspace, config), case)


def fetched(preprocessor: CudaPreprocessor, case: Case) -> Prepared:
    batch = preprocessor.run(case)
    return preprocessor.fetch(batch), batch.window


def assert_twins(fast_one: Prepared, slow_one: Prepared, series: np.ndarray, *, rtol: float = 0.0) -> None:
    """Equal windows; q(t) within 1e-12 of the sum of magnitudes; pixels within ``rtol``, 0 for bit-equal."""
    (fast, found), (slow, expected) = fast_one, slow_one
    assert fast.frames.dtype == fast.features.dtype == np.float32
    magnitudes = np.abs(series, dtype=np.float64).reshape(len(series), -1).sum(axis=1)
    assert_array_equal(np.abs(found.curve - expected.curve) <= 1e-12 * magnitudes, True)
    for name in ("start", "end", "frames", "findings"):
        assert getattr(found, name) == getattr(expected, name)
    for name in ("frames", "features"):
        assert_allclose(getattr(fast, name), getattr(slow, name), rtol=rtol, atol=rtol / 100, strict=True)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("frames", FRAMES)
def test_any_number_of_frames(workspace: Workspace, make_case: MakeCase, frames: int, dtype: type):
    case = make_case((2, 5, 12), frames, dtype, seed=frames)
    config = same_grid((2, 5, 12))
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backwards", [False, True])
def test_any_size(
    make_workspace: MakeWorkspace, make_case: MakeCase, shape: tuple[int, int, int], dtype: type, backwards: bool
):
    case, config = make_case(shape, 11, dtype), same_grid(shape)
    workspace = make_workspace(seed=1, backwards=backwards)
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_more_voxels_than_one_block_takes(workspace: Workspace, make_case: MakeCase, dtype: type):
    shape = (3, 52, 60)
    case, config = make_case(shape, 19, dtype), same_grid(shape)
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("grid", [(16, 16), (24, 40), (64, 48)])
@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((2, 31, 33), (5.0, 0.8, 0.8)),
        ((1, 70, 61), (5.0, 0.5, 0.7)),
        ((2, 1, 3), (5.0, 1.0, 1.0)),
        ((2, 24, 12), (5.0, 1.0, 1.0)),  # its rows are those of a grid
    ],
)
def test_other_grids(
    workspace: Workspace,
    make_case: MakeCase,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    grid: tuple[int, int],
    dtype: type,
):
    case, config = make_case(shape, 9, dtype, spacing=spacing), PreprocessConfig(slice_shape=grid)
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series, rtol=1e-6)


def test_a_phantom_on_the_papers_grid(workspace: Workspace, phantom_case: Case):
    config = PreprocessConfig()
    assert_twins(run(workspace, phantom_case, config), preprocess(phantom_case, config), phantom_case.series, rtol=1e-6)


@pytest.mark.parametrize(
    "view",
    [
        lambda series: np.asfortranarray(series),
        lambda series: np.ascontiguousarray(series.T).T,
        lambda series: series[:, ::-1, :, ::-1],
        lambda series: np.repeat(series, 2, axis=3)[..., ::2],
        lambda series: np.broadcast_to(series[:, :1], series.shape),
    ],
    ids=["fortran", "file order", "flipped", "every other", "repeated"],
)
def test_a_series_of_any_strides(workspace: Workspace, make_case: MakeCase, view: Callable[[np.ndarray], np.ndarray]):
    case, config = make_case((3, 8, 12), 18, np.int16), same_grid((3, 8, 12))
    case = dataclasses.replace(case, series=view(case.series))
    assert not case.series.flags.c_contiguous
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("grid", [(8, 12), (16, 16)], ids=["same grid", "resampled"])
def test_frames_that_are_means(workspace: Workspace, make_case: MakeCase, grid: tuple[int, int], dtype: type):
    case = make_case((2, 8, 12), 30, dtype)
    config = PreprocessConfig(slice_shape=grid, frame_means=True)
    rtol = {} if grid == (8, 12) else {"rtol": 1e-6}
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series, **rtol)


@pytest.mark.parametrize("pixel_mm", [1.0, 1.7, 4.0])
def test_the_grid_around_the_head(workspace: Workspace, phantom_case: Case, pixel_mm: float):
    config = PreprocessConfig(slice_shape=(64, 48), pixel_mm=pixel_mm, frame_means=True)
    assert_twins(run(workspace, phantom_case, config), preprocess(phantom_case, config), phantom_case.series, rtol=1e-6)


@pytest.mark.parametrize("run_length", [1, 3])
@pytest.mark.parametrize("frames", [1, 4, 9])
def test_the_constants_are_those_of_the_configuration(
    workspace: Workspace, make_case: MakeCase, run_length: int, frames: int
):
    case = make_case((2, 8, 12), 30)
    config = PreprocessConfig(
        slice_shape=(8, 12),
        run_length=run_length,
        frames=frames,
        cta_window=(-20.5, 131.25),
        flow_percentile=87.3,
        time_window=13.7,
    )
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


def test_constant_volumes_become_what_the_reference_makes_of_them(workspace: Workspace, make_case: MakeCase):
    case, config = make_case((2, 8, 12), 12), same_grid((2, 8, 12))
    nearly_empty = np.zeros((2, 8, 12), dtype=np.float32)
    nearly_empty[1, 2, 3] = 5.0  # its 99th percentile is its minimum
    case = dataclasses.replace(
        case,
        series=np.full_like(case.series, 37.5),
        maps={**case.maps, "cbf": np.full((2, 8, 12), 3.3, dtype=np.float32), "cbv": nearly_empty},
    )
    fast = run(workspace, case, config)
    assert_twins(fast, preprocess(case, config), case.series)
    batch, window = fast
    assert not batch.features[:, :2].any()
    assert len(window.findings) == 2


def test_a_flat_tail_stays_flat(workspace: Workspace, make_case: MakeCase):
    """Equal frames must have equal sums, or noise of the summation would rise and fall."""
    case = make_case((3, 40, 40), 40)
    series = case.series.copy()
    series[25:] = series[25]
    case, config = dataclasses.replace(case, series=series), same_grid((3, 40, 40))
    fast = run(workspace, case, config)
    assert (np.diff(fast[1].curve[25:]) == 0).all()
    assert_twins(fast, preprocess(case, config), series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_sums_of_whole_numbers_are_exact(workspace: Workspace, make_case: MakeCase, dtype: type):
    case = make_case((3, 52, 60), 17, np.int16)
    extreme = case.series.copy()
    extreme[3], extreme[4] = 32767, -32768
    case, config = dataclasses.replace(case, series=extreme.astype(dtype)), same_grid((3, 52, 60))
    assert_array_equal(run(workspace, case, config)[1].curve, accumulated_intensity(extreme))


def test_sums_of_numbers_that_cancel_are_within_the_tolerance(workspace: Workspace, make_case: MakeCase):
    case = make_case((3, 40, 40), 8)
    wild = case.series * np.float32(10.0) ** np.random.default_rng(1).integers(-6, 7, case.series.shape)
    wild[:, 1] = -wild[:, 0]
    case, config = dataclasses.replace(case, series=wild.astype(np.float32)), same_grid((3, 40, 40))
    assert_twins(run(workspace, case, config), preprocess(case, config), case.series)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize(
    ("slope", "intercept"), [(1.0, -1024.0), (0.25, 0.0), (np.float32(0.1).item(), np.float32(-73.3).item())]
)
def test_stored_numbers_are_rescaled_as_a_reader_does(
    workspace: Workspace, make_case: MakeCase, slope: float, intercept: float, dtype: type
):
    stored = make_case((2, 8, 12), 14, dtype)
    config = PreprocessConfig(slice_shape=(8, 12), cta_window=(slope * -20 + intercept, slope * 250 + intercept))
    in_hu = (stored.series.astype(np.float64) * slope + intercept).astype(np.float32)
    slow, expected = preprocess(dataclasses.replace(stored, series=in_hu), config)
    preprocessor = CudaPreprocessor(workspace, config)
    batch = preprocessor.run(stored, Rescale(slope=slope, intercept=intercept))
    fast = preprocessor.fetch(batch)
    assert batch.window.frames == expected.frames
    assert_allclose(batch.window.curve, expected.curve, atol=1e-7 * np.abs(in_hu[0]).sum(dtype=float))
    assert_array_equal(fast.frames, slow.frames)
    assert_array_equal(fast.features, slow.features)


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (-1.0, 0.0), (np.nan, 0.0), (1.0, np.inf)])
def test_a_rescaling_that_orders_nothing_is_refused(slope: float, intercept: float):
    with pytest.raises(InputError, match="give a positive slope and a finite intercept"):
        Rescale(slope=slope, intercept=intercept)


@pytest.mark.parametrize("seed", range(9))
def test_one_preprocessor_takes_case_after_case(make_workspace: MakeWorkspace, make_case: MakeCase, seed: int):
    """Larger, smaller and other cases reuse its memory, in whatever order its streams advance."""
    config = PreprocessConfig(slice_shape=(16, 24))
    preprocessor = CudaPreprocessor(make_workspace(seed, backwards=seed % 2 == 1), config)
    for i, (shape, frames, dtype) in enumerate(
        [
            ((2, 16, 24), 20, np.float32),
            ((1, 16, 24), 37, np.int16),
            ((3, 11, 18), 5, np.float32),
            ((4, 16, 24), 40, np.float32),
            ((2, 16, 24), 20, np.int16),
        ]
    ):
        case = make_case(shape, frames, dtype, seed=i)
        fast = fetched(preprocessor, case)
        assert_twins(fast, preprocess(case, config), case.series, rtol=0.0 if shape[1:] == (16, 24) else 1e-6)


@pytest.mark.parametrize("seed", range(9))
def test_a_batch_is_complete_before_the_next_case_replaces_its_sources(
    make_workspace: MakeWorkspace, make_case: MakeCase, seed: int
):
    config = same_grid((2, 16, 24))
    workspace = make_workspace(seed)
    preprocessor = CudaPreprocessor(workspace, config)
    first, second = (make_case((2, 16, 24), 40, seed=i) for i in range(2))
    batch = preprocessor.run(first)
    copies = [workspace.fetched("a copy of frames", batch.frames), workspace.fetched("of features", batch.features)]
    following = preprocessor.run(second)
    expected = preprocess(first, config)[0]
    assert_array_equal(copies[0], expected.frames)
    assert_array_equal(copies[1], expected.features)
    assert_array_equal(preprocessor.fetch(following).frames, preprocess(second, config)[0].frames)


def test_a_shifted_frame_and_a_swapped_map_are_seen(workspace: Workspace, make_case: MakeCase):
    case, config = make_case(), same_grid((2, 16, 24))
    fast = run(workspace, case, config)
    shifted = dataclasses.replace(case, series=np.roll(case.series, 1, axis=0))
    swapped = dataclasses.replace(case, maps={**case.maps, "mtt": case.maps["tmax"], "tmax": case.maps["mtt"]})
    for other in (shifted, swapped):
        with pytest.raises(AssertionError):
            assert_twins(fast, preprocess(other, config), case.series, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0, 0), (7, 1, 4, 9), (19, 2, 30, 32)])
def test_one_voxel_of_the_series_that_is_not_finite_is_refused(
    workspace: Workspace, make_case: MakeCase, place: tuple[int, ...], value: float
):
    case = make_case((3, 31, 33))
    series = case.series.copy()
    series[place] = value
    broken, config = dataclasses.replace(case, series=series), same_grid((3, 31, 33))
    preprocessor = CudaPreprocessor(workspace, config)
    with pytest.raises(InputError, match=f"^Frame {place[0]} of the series of made holds NaN or infinity: make it"):
        preprocessor.run(broken)
    assert_twins(fetched(preprocessor, case), preprocess(case, config), case.series)


@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", MAP_NAMES)
def test_one_voxel_of_a_map_that_is_not_finite_is_refused(
    workspace: Workspace, make_case: MakeCase, name: str, value: float
):
    case, config = make_case((3, 31, 33)), same_grid((3, 31, 33))
    broken = case.maps[name].copy()
    broken[-1, -1, -1] = value
    preprocessor = CudaPreprocessor(workspace, config)
    with pytest.raises(InputError, match=f"^The {name.upper()} map of made holds NaN or infinity: make it again"):
        preprocessor.run(dataclasses.replace(case, maps={**case.maps, name: broken}))


@pytest.mark.parametrize("dtype", [np.float64, np.uint16, np.dtype(">i2")])
def test_a_series_of_another_type_is_refused(workspace: Workspace, make_case: MakeCase, dtype: type):
    case = make_case()
    with pytest.raises(InputError, match=r"is of type .*: convert it to int16 or float32"):
        CudaPreprocessor(workspace, same_grid((2, 16, 24))).run(
            dataclasses.replace(case, series=case.series.astype(dtype))
        )
