"""Postprocessing, agreement, the threshold rule, plausibility and evaluation."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from ctpdeploy.errors import GuardError, InputError
from ctpdeploy.runtime import Case, Pipeline
from ctpdeploy.runtime.agreement import agreement
from ctpdeploy.runtime.engine import EngineInfo, SliceOutputs
from ctpdeploy.runtime.evaluation import as_csv, score_case, summarise
from ctpdeploy.runtime.plausibility import implausible
from ctpdeploy.runtime.postprocess import components_of
from ctpdeploy.runtime.preprocess import PreprocessConfig, SliceBatch
from ctpdeploy.runtime.threshold_rule import threshold_rule

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
    assert set(found.seconds) == {"preprocess", "networks", "postprocess"}


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


masks = arrays(bool, (2, 5, 6), elements=st.booleans())


@given(masks, masks)
def test_agreement_counts(mask: np.ndarray, truth: np.ndarray):
    tp, fp, fn = (mask & truth).sum(), (mask & ~truth).sum(), (~mask & truth).sum()
    got = agreement(mask, truth, 0.5)
    assert got.dice == pytest.approx(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 1.0)
    assert got.precision == pytest.approx(tp / (tp + fp) if tp + fp else float(not truth.any()))
    assert got.recall == pytest.approx(tp / (tp + fn) if tp + fn else 1.0)
    assert got.volume_ml == pytest.approx(0.5 * mask.sum())
    swapped = agreement(truth, mask, 0.5)
    assert swapped.dice == pytest.approx(got.dice)


def test_agreement_of_different_shapes_is_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement(np.zeros((2, 3), bool), np.zeros((3, 2), bool), 1.0)


def test_the_threshold_rule_by_hand(phantom_case: Case):
    shape = phantom_case.series.shape[1:]
    cbf, tmax = np.full(shape, 50.0), np.full(shape, 2.0)
    tmax[0, :8], cbf[0, :4] = 7.0, 10.0  # late; of that half under 30 % of the normal 50
    cbf[1, :4] = 10.0  # low but not late
    tmax[1, 10, 10], cbf[1, 10, 10] = 6.0, 1.0  # 6 s is not above 6 s
    maps = {**phantom_case.maps, "cbf": cbf, "tmax": tmax, "cbv": np.ones(shape), "mtt": np.ones(shape)}
    expected = np.zeros(shape, dtype=bool)
    expected[0, :4] = True
    assert_array_equal(threshold_rule(dataclasses.replace(phantom_case, maps=maps)), expected)
    late_everywhere = dataclasses.replace(phantom_case, maps={**maps, "tmax": np.full(shape, 9.0)})
    assert not threshold_rule(late_everywhere).any()


def test_swapped_maps_are_noticed(phantom_case: Case):
    assert implausible(phantom_case) == ()
    maps = dict(phantom_case.maps)
    maps["cbf"], maps["cbv"] = maps["cbv"], maps["cbf"]
    assert "swapped" in implausible(dataclasses.replace(phantom_case, maps=maps))[0]
    empty = {name: np.zeros_like(volume) for name, volume in maps.items()}
    assert "empty" in implausible(dataclasses.replace(phantom_case, maps=empty))[0]


def test_scores_are_averaged_over_cases_and_gaps_are_counted(phantom_case: Case):
    assert phantom_case.lesion is not None
    engine = FixedEngine(phantom_case.lesion.astype(np.float32))
    perfect = score_case(phantom_case, Pipeline(engine, GRID).predict(phantom_case))
    healthy = dataclasses.replace(phantom_case, lesion=np.zeros_like(phantom_case.lesion))
    wrong = score_case(healthy, Pipeline(engine, GRID).predict(healthy))
    summary = summarise([perfect, wrong])
    assert summary["cases"] == 2
    assert summary["networks"]["dice"] == {"mean": 0.5, "std": 0.5, "undefined": 0}
    assert summary["networks"]["relative_volume_error"] == {"mean": 0.0, "std": 0.0, "undefined": 1}
    lines = as_csv([perfect, wrong]).splitlines()
    assert lines[0].startswith("case,method,dice,")
    assert len(lines) == 5
    assert lines[1].startswith("case_1,networks,1,1,1,")
    assert lines[3].endswith(",")
    with pytest.raises(InputError, match="no lesion mask"):
        score_case(dataclasses.replace(phantom_case, lesion=None), Pipeline(engine, GRID).predict(phantom_case))
