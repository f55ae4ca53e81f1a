"""An engine that takes raw cases has a way of its own from case to mask; it has to lead where the networks' leads."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bundles import write_bundle

from ctpdeploy.benchmark.checks import require_same_way
from ctpdeploy.errors import GateError
from ctpdeploy.runtime import Bundle, Case, Pipeline
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.engine import CaseEngine
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig


class OwnWay(CaseEngine):
    """ONNX Runtime as an engine of cases, whose masks are changed on the way."""

    def __init__(self, bundle: Bundle, change: Callable[[CaseOutputs], CaseOutputs]) -> None:
        self._engine, self._change = ort_cpu.open_engine(bundle), change

    @property
    def info(self) -> EngineInfo:
        return self._engine.info

    def run(self, batch: SliceBatch) -> SliceOutputs:
        return self._engine.run(batch)

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        return self._change(run_reference_path(self._engine, case, config))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(write_bundle(tmp_path / "small.ctpbundle"))


def test_an_own_way_that_leads_to_the_same_mask_will_do(bundle: Bundle, phantom_case: Case):
    engine = OwnWay(bundle, lambda outputs: outputs)
    assert isinstance(engine, CaseEngine)
    require_same_way(bundle, "own", Pipeline(engine, bundle.preprocess), phantom_case)


@pytest.mark.parametrize(
    "change",
    [
        lambda outputs: dataclasses.replace(outputs, mask=~outputs.mask),
        lambda outputs: dataclasses.replace(outputs, mask=outputs.mask[:, ::-1]),
    ],
)
def test_a_mask_with_labels_swapped_or_upside_down_will_not(
    change: Callable[[CaseOutputs], CaseOutputs], bundle: Bundle, phantom_case: Case
):
    pipeline = Pipeline(OwnWay(bundle, change), bundle.preprocess)
    with pytest.raises(GateError, match=r"own has a mask of Dice 0\.\d+ .* nothing was timed"):
        require_same_way(bundle, "own", pipeline, phantom_case)
