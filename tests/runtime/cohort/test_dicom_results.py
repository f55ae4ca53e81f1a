"""DICOM results of a run: of the cases that can have them, whole or not at all, and taken over by --resume."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dicom_images import write_scan
from support.nifti_cases import write_isles

from ctpdeploy.errors import InputError, MissingPackageError, UsageError
from ctpdeploy.runtime import Case, Pipeline, find_cases, infer_cases
from ctpdeploy.runtime.cohort.dicom_results import DicomResults
from ctpdeploy.runtime.cohort.run import Cohort
from ctpdeploy.runtime.data.prediction import EngineInfo, Provenance
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.report import writers
from ctpdeploy.runtime.report.dicom import writer

BUNDLE = Provenance(
    bundle={"name": "x.ctpbundle", "sha256": 64 * "0"}, backend_requested="auto", backend_because="It was asked for."
)


class Late:
    """A lesion where Tmax is long."""

    info = EngineInfo(backend="late", device="none", precision="fp32")
    calls = 0

    def run(self, batch: SliceBatch) -> SliceOutputs:
        self.calls += 1
        return SliceOutputs(probability=batch.features[:, 3])


@pytest.fixture
def study(tmp_path: Path, phantom_case: Case) -> Path:
    hu = np.rint(phantom_case.series[:, :, ::-1]).astype(np.int16)
    write_scan(tmp_path / "study", hu, spacing=phantom_case.geometry.spacing)
    return tmp_path / "study"


def infer(folder: Path, engine: Late | None = None, **options: Any) -> Cohort:
    pipeline = Pipeline(engine or Late(), PreprocessConfig(slice_shape=(64, 64)), BUNDLE)
    cases = [case for one in (folder, *(folder.parent.glob("case_*"))) for case in find_cases(one)]
    return infer_cases(pipeline, cases, folder.parent / "out", **options)


def objects(folder: Path) -> set[str]:
    return {path.name for path in (folder.parent / "out").glob("*/dicom/*")}


def test_of_a_dicom_study_they_are_written_and_listed(study: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    write_isles(study.parent / "case_7", shape=(70, 66, 2), frames=16)
    cohort = infer(study)
    assert not cohort.refused
    reports = {report["case"]: report for report in cohort.reports}
    listed = {path for word, path in reports["study"]["outputs"].items() if word.startswith("dicom_")}
    assert {f"dicom/{name}" for name in objects(study)} == listed
    assert {"dicom/segmentation.dcm", "dicom/report.dcm", "dicom/overview.dcm", "dicom/tmax.dcm"} <= listed
    assert reports["study"]["seconds"]["dicom"] > 0
    assert not any("dicom" in word for word in reports["case_7"]["outputs"])
    sealed = json.loads((study.parent / "out" / "study" / "digests.json").read_text())["files"]
    assert listed < set(sealed)
    assert not any(word in caplog.text for word in ("Doe", "Jane", "4711"))


def test_what_names_no_patient_is_refused_before_anything_is_computed(study: Path):
    write_isles(study.parent / "case_7", shape=(70, 66, 2), frames=16)
    cohort = infer(study, engine := Late(), dicom=DicomResults(wanted=True))
    assert list(cohort.refused) == ["case_7"]
    assert isinstance(cohort.outcomes[1].error, InputError)
    assert "names no patient and no study" in cohort.refused["case_7"]
    assert engine.calls == 1


def test_none_are_written_where_none_are_wanted(study: Path):
    infer(study, dicom=DicomResults(wanted=False))
    assert not objects(study)


def test_without_the_package_no_case_is_begun(study: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(writer, "available", lambda _: False)
    with pytest.raises(MissingPackageError, match="with its extra dicom"):
        infer(study, engine := Late())
    assert engine.calls == 0
    infer(study, dicom=DicomResults(wanted=False))


def test_a_result_is_taken_over_only_with_the_objects_that_are_wanted(study: Path):
    infer(study)
    segmentation = study.parent / "out" / "study" / "dicom" / "segmentation.dcm"
    infer(study, engine := Late(), resume=True)
    assert engine.calls == 0
    wanted = [DicomResults(wanted=False), DicomResults(), DicomResults(fractional=True), DicomResults()]
    for number, dicom in enumerate(wanted, start=1):
        infer(study, engine, resume=True, dicom=dicom)
        assert engine.calls == number
        assert segmentation.exists() == (dicom.wanted is not False)
        assert (segmentation.with_name("probability_segmentation.dcm")).exists() == dicom.fractional
    content = bytearray(segmentation.read_bytes())
    content[-1] ^= 1
    segmentation.write_bytes(content)
    infer(study, engine, resume=True)
    assert engine.calls == len(wanted) + 1
    segmentation.unlink()
    infer(study, engine, resume=True)
    assert engine.calls == len(wanted) + 2
    assert segmentation.exists()


def test_a_case_whose_objects_fail_leaves_nothing(study: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writers, "write_dicom", full)
    cohort = infer(study)
    assert list(cohort.refused) == ["study"]
    assert not list((study.parent / "out").iterdir())


def test_what_somebody_put_among_the_objects_is_not_lost(study: Path):
    infer(study)
    (study.parent / "out" / "study" / "dicom" / "mine.dcm").write_text("precious")
    cohort = infer(study)
    assert "also holds dicom/mine.dcm, not written by ctpdeploy" in cohort.refused["study"]
    assert (study.parent / "out" / "earlier" / "study" / "dicom" / "mine.dcm").exists()


def test_one_more_of_none_is_refused():
    with pytest.raises(UsageError, match="leave out one"):
        DicomResults(wanted=False, fractional=True)
