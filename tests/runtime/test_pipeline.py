"""The pipeline around engines that take slices, and those that take cases."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, PerfusionConfig, Pipeline
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.data.finding import by_severity, finding
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.postprocess import components_of
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

CONFIG = PreprocessConfig(slice_shape=(64, 64))
ANOTHER = finding("run-again-in-float32", "Another did it.")
AS_READ = finding("interval-assumed", "As read.")


class Slices(Engine):
    """An engine that finds lesion where CBF is low."""

    info = EngineInfo(backend="slices", device="host", precision="fp32")

    def run(self, batch: SliceBatch) -> SliceOutputs:
        low = np.where(batch.features[:, 0] < 0.2, np.float32(0.9), np.float32(0.1))
        return SliceOutputs(probability=low, pseudo_dwi=low[:, None])


class Cases(Slices):
    """The same, whole cases at a time; once it had to let another do it."""

    def run_case(self, case: Case, config: PreprocessConfig) -> CaseOutputs:
        outputs = run_reference_path(Slices(), case, config)
        return dataclasses.replace(
            outputs,
            engine=dataclasses.replace(self.info, backend="another"),
            seconds={"preprocess": 1.0, "networks": 2.0, "postprocess": 3.0},
            findings=(ANOTHER,),
        )


def test_both_kinds_of_engine_give_the_same_finding(phantom_case: Case):
    case = dataclasses.replace(phantom_case, findings=(AS_READ,))
    found, expected = Pipeline(Cases(), CONFIG).predict(case), Pipeline(Slices(), CONFIG).predict(case)
    assert 0 < found.mask.sum() < found.mask.size
    assert_array_equal(found.mask, expected.mask)
    assert_array_equal(found.pseudo_dwi, expected.pseudo_dwi)
    assert found.components == expected.components == components_of(found.mask, case)
    assert found.volume_ml == expected.volume_ml > 0
    assert found.findings == by_severity((*expected.findings, ANOTHER))
    assert AS_READ in expected.findings


def test_maps_of_other_settings_than_the_networks_are_refused(phantom_case: Case):
    onset = PerfusionConfig(tmax="onset")
    pipeline = Pipeline(Slices(), CONFIG, perfusion=onset)
    for settings in (None, onset, onset.stated()):  # given, and computed by the same settings
        assert pipeline.predict(dataclasses.replace(phantom_case, perfusion=settings)).volume_ml > 0
    with pytest.raises(InputError, match=r"maps of case_1 were computed with other settings.*pipeline\.perfusion"):
        pipeline.predict(dataclasses.replace(phantom_case, perfusion=PerfusionConfig()))


def test_a_pipeline_closes_its_engine():
    class Closing(Slices):
        closes = 0

        def close(self) -> None:
            self.closes += 1

    engine = Closing()
    with Pipeline(engine, CONFIG) as pipeline:
        assert pipeline.engine is engine
        assert engine.closes == 0
    assert engine.closes == 1


def test_the_report_is_of_what_really_ran(phantom_case: Case):
    found = Pipeline(Cases(), CONFIG).predict(phantom_case)
    assert found.outputs.engine.backend == "another"
    assert Pipeline(Slices(), CONFIG).predict(phantom_case).outputs.engine == Slices.info
    assert found.outputs.seconds["preprocess"] == 1.0
    assert found.outputs.seconds["networks"] == 2.0
    assert 3.0 < found.outputs.seconds["postprocess"] < 4.0
