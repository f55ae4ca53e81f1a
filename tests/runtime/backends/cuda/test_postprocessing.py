import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.errors import GuardError
from ctpdeploy.runtime.backends.cuda import CudaPostprocessor, Workspace
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.slices import SliceOutputs
from ctpdeploy.runtime.preprocess.postprocess import postprocess
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

MakeCase = Callable[..., Case]
Finding = tuple[np.ndarray, np.ndarray, np.ndarray | None]

GRIDS = {
    "the case's own": ((2, 9, 13), (9, 13), 0.0),
    "one with its rows": ((2, 24, 12), (24, 40), 1e-6),
    "a finer one": ((3, 20, 24), (32, 48), 1e-6),
    "a coarser one": ((2, 50, 40), (16, 16), 1e-6),
}


def outputs_on(grid: tuple[int, int], slices: int, threshold: float = 0.5) -> SliceOutputs:
    rng = np.random.default_rng(0)
    probability = rng.random((slices, *grid), dtype=np.float32)
    probability[0, 0, :3] = [threshold, np.nextafter(np.float32(threshold), np.float32(1)), 1.0]
    return SliceOutputs(probability=probability, pseudo_dwi=rng.normal(0.4, 0.5, (slices, 1, *grid)).astype(np.float32))


def run(workspace: Workspace, case: Case, config: PreprocessConfig, outputs: SliceOutputs) -> Finding:
    dwi = None if outputs.pseudo_dwi is None else workspace.sent("pseudo-DWI of the network", outputs.pseudo_dwi)
    probability = workspace.sent("probability of the network", outputs.probability)
    postprocessor = CudaPostprocessor(workspace, config)
    return postprocessor.collect(postprocessor.queue(case, probability, dwi))


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize(("backwards", "threshold"), [(False, 0.5), (True, 0.5), (False, 0.35)])
def test_findings_are_the_references(
    make_workspace: Callable[..., Workspace], make_case: MakeCase, kind: str, backwards: bool, threshold: float
):
    shape, grid, rtol = GRIDS[kind]
    case, config = make_case(shape, 4), PreprocessConfig(slice_shape=grid, threshold=threshold)
    outputs = outputs_on(grid, shape[0], threshold)
    fast = run(make_workspace(3, backwards=backwards), case, config, outputs)
    slow = postprocess(outputs, case, config)
    assert fast[0].dtype == np.bool_
    assert 0 < fast[0].sum() < fast[0].size
    assert_array_equal(fast[0], fast[1] > threshold)
    near = np.abs(slow[1] - threshold) <= rtol
    assert_array_equal(fast[0][~near], slow[0][~near])
    assert near.mean() <= 0.01
    for ours, reference in zip(fast[1:], slow[1:], strict=True):
        assert_allclose(ours, reference, rtol=rtol, atol=rtol / 5, strict=True)


def test_a_system_without_synthesis_has_no_pseudo_dwi(workspace: Workspace, make_case: MakeCase):
    outputs = dataclasses.replace(outputs_on((16, 24), 2), pseudo_dwi=None)
    assert run(workspace, make_case(), PreprocessConfig(slice_shape=(16, 24)), outputs)[2] is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["probability", "pseudo_dwi"])
@pytest.mark.parametrize("kind", ["the case's own", "a finer one"])
def test_output_that_is_not_finite_is_never_a_mask(
    workspace: Workspace, make_case: MakeCase, kind: str, name: str, value: float
):
    """Not even the last number, in a corner of the networks' grid that may lie outside the case."""
    shape, grid, _ = GRIDS[kind]
    outputs = outputs_on(grid, shape[0])
    getattr(outputs, name).ravel()[-1] = value
    case, config = make_case(shape, 4), PreprocessConfig(slice_shape=grid)
    with pytest.raises(GuardError) as slow:
        postprocess(outputs, case, config)
    with pytest.raises(GuardError) as fast:
        run(workspace, case, config, outputs)
    assert str(fast.value) == str(slow.value)


def test_findings_of_one_case_do_not_reach_the_next(workspace: Workspace, make_case: MakeCase):
    config = PreprocessConfig(slice_shape=(32, 48))
    outputs = outputs_on((32, 48), 3)
    broken = dataclasses.replace(outputs, probability=np.full_like(outputs.probability, np.nan))
    case = make_case((3, 20, 24), 4)
    with pytest.raises(GuardError):
        run(workspace, case, config, broken)
    assert_allclose(run(workspace, case, config, outputs)[1], postprocess(outputs, case, config)[1], rtol=1e-6)
