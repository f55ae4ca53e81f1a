"""Components, volumes and sides of a mask, and results that are no mask."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime import Case, Pipeline
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.perfusion.brain import brain_mask
from ctpdeploy.runtime.preprocess.postprocess import components_of, postprocess
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

GRID = PreprocessConfig(slice_shape=(64, 64))


class FixedEngine:
    """Answers with the same probability for every case."""

    info = EngineInfo(backend="fixed", device="none", precision="fp32")

    def __init__(self, probability: np.ndarray, pseudo_dwi: np.ndarray | None = None) -> None:
        self.probability = probability.astype(np.float32)
        self.pseudo_dwi = self.probability if pseudo_dwi is None else pseudo_dwi

    def run(self, batch: SliceBatch) -> SliceOutputs:
        assert len(batch.frames) == len(self.probability)
        image = self.pseudo_dwi[:, None]
        return SliceOutputs(extractor=image, pseudo_dwi=image, probability=self.probability)


def blocks(shape: tuple[int, int, int]) -> np.ndarray:
    probability = np.zeros(shape)
    probability[0, 10:20, 40:50] = 0.9  # right of the middle: x runs to the patient's right
    probability[:, 30:34, 5:9] = 0.6
    probability[1, 60, 60] = 0.5  # not above the threshold
    return probability


def test_components_volumes_and_sides(phantom_case: Case):
    probability = blocks(phantom_case.series.shape[1:])
    found = Pipeline(FixedEngine(probability), GRID).predict(phantom_case)
    voxel = phantom_case.geometry.voxel_ml
    assert_array_equal(found.mask, probability > 0.5)
    assert [round(c.volume_ml / voxel) for c in found.components] == [100, 32]
    assert [c.side for c in found.components] == ["right", "left"]
    assert found.components[0].centroid == (0.0, 14.5, 44.5)
    assert found.volume_ml == pytest.approx(132 * voxel)
    assert set(found.outputs.seconds) == {"preprocess", "networks", "postprocess"}


@pytest.mark.parametrize(("threshold", "voxels"), [(0.45, 133), (0.5, 132), (0.7, 100), (0.95, 0)])
def test_the_threshold_is_a_constant_of_the_networks(phantom_case: Case, threshold: float, voxels: int):
    pipeline = Pipeline(FixedEngine(blocks(phantom_case.series.shape[1:])), replace(GRID, threshold=threshold))
    found = pipeline.predict(phantom_case)
    assert found.mask.sum() == voxels
    assert found.threshold == threshold


@pytest.mark.parametrize("aside", [-11, 0, 11])
def test_sides_are_those_of_the_head_wherever_it_lies_in_the_image(phantom_case: Case, aside: int):
    air = phantom_case.series.min()
    wide = np.pad(phantom_case.series, ((0, 0), (0, 0), (0, 0), (11, 11)), constant_values=air)
    case = replace(phantom_case, series=np.roll(wide, aside, axis=3))
    brain = np.flatnonzero(brain_mask(case.series.mean(axis=0), case.geometry.spacing).any(axis=(0, 1)))
    middle = round((brain[0] + brain[-1]) / 2)
    mask = np.zeros(case.series.shape[1:], dtype=bool)
    mask[0, 10:20, middle - 10 : middle - 1] = True
    mask[0, 30:38, middle + 2 : middle + 10] = True
    mask[0, 45:50, middle - 4 : middle + 8] = True
    geometry = replace(case.geometry, slabs=None)
    found = components_of(mask, replace(case, geometry=geometry))
    assert [c.side for c in found] == ["left", "right", "both"]


def test_sides_are_those_of_the_image_where_no_brain_is_seen(phantom_case: Case):
    case = replace(phantom_case, series=np.full_like(phantom_case.series, -1000))
    found = components_of(blocks(case.series.shape[1:]) > 0.5, case)
    assert [c.side for c in found] == ["right", "left"]


def test_no_side_is_named_where_the_source_states_none(phantom_case: Case):
    case = replace(phantom_case, geometry=replace(phantom_case.geometry, sides_stated=False))
    found = components_of(blocks(case.series.shape[1:]) > 0.5, case)
    assert [c.side for c in found] == [None, None]
    assert [c.centroid for c in found] == [c.centroid for c in components_of(blocks((2, 64, 64)) > 0.5, phantom_case)]


def test_corners_connect_across_slices(phantom_case: Case):
    mask = np.zeros((2, 64, 64), dtype=bool)
    mask[0, 5, 5] = mask[1, 6, 6] = True
    assert len(components_of(mask, phantom_case)) == 1
    assert components_of(np.zeros_like(mask), phantom_case) == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["probability", "pseudo_dwi"])
def test_nan_is_an_error_and_never_an_empty_mask(phantom_case: Case, bad: float, where: str):
    good = blocks(phantom_case.series.shape[1:]).astype(np.float32)
    spoilt = good.copy()
    spoilt[1, 3, 3] = bad
    engine = FixedEngine(spoilt, good) if where == "probability" else FixedEngine(good, spoilt)
    with pytest.raises(GuardError, match="NaN or infinity"):
        Pipeline(engine, GRID).predict(phantom_case)


def test_an_empty_mask_is_a_finding(phantom_case: Case):
    found = Pipeline(FixedEngine(np.zeros(phantom_case.series.shape[1:])), GRID).predict(phantom_case)
    assert found.volume_ml == 0.0
    assert found.components == ()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda good: good[:1], "returned a probability of shape"),
        (lambda good: good[:, :32], "returned a probability of shape"),
        (lambda good: good.astype(np.float64), "type float64"),
        (lambda good: good + 1, "outside 0 to 1"),
        (lambda good: good - 1, "outside 0 to 1"),
    ],
)
def test_an_engine_that_breaks_its_contract_gives_no_mask(
    phantom_case: Case, wrong: Callable[..., np.ndarray], message: str
):
    good = blocks(phantom_case.series.shape[1:]).astype(np.float32)
    with pytest.raises(BackendError, match=message):
        postprocess(SliceOutputs(probability=wrong(good)), phantom_case, GRID)
