"""The report says in codes what the mask says in voxels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.sr.utils import find_content_items
from pydicom.dataset import Dataset
from support.predictions import predicted

from ctpdeploy.runtime import Case
from ctpdeploy.runtime.data.finding import finding
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.preprocess.postprocess import components_of
from ctpdeploy.runtime.report.dicom.writer import write_dicom


def report_of(case: Case, mask: np.ndarray, folder: Path, picture: Path, *sentences: str) -> Dataset:
    prediction = replace(
        predicted(mask),
        components=components_of(mask, case),
        volume_ml=float(mask.sum() * case.geometry.voxel_ml),
        findings=tuple(finding("frames-jump", sentence) for sentence in sentences),
    )
    return pydicom.dcmread(folder / write_dicom(folder, case, prediction, picture)["report"])


def lesions(case: Case) -> np.ndarray:
    """Of 8, 4 and 2 voxels; the largest in low columns of its image, on the right of a patient seen from the feet."""
    volume = np.zeros((*case.geometry.shape,), bool)
    volume[4:8, 6:8, 1] = volume[18:20, 6:8, 1] = volume[12:14, 15, 2] = True
    return case.geometry.to_case(volume)


def volumes(report: Dataset) -> list[float]:
    return [
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in find_content_items(report, value_type="NUM", recursive=True)
    ]


@pytest.mark.parametrize("layout", ["one-series", "enhanced"])
def test_volumes_sides_and_images_of_every_lesion(
    layout: str, read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    case = read_layout(layout)
    report = report_of(case, lesions(case), tmp_path / "out", picture)
    voxel = case.geometry.voxel_ml
    assert volumes(report) == pytest.approx([14 * voxel, 8 * voxel, 4 * voxel, 2 * voxel], abs=1e-3)
    sides = [
        item.ConceptCodeSequence[0].CodeMeaning
        for item in find_content_items(report, value_type="CODE", recursive=True)
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Laterality"
    ]
    assert sides == ["Right", "Left", "Left"]
    images = [
        item.ReferencedSOPSequence[0]
        for item in find_content_items(report, value_type="IMAGE", recursive=True)
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Source of Measurement"
    ]
    for image, k in zip(images, (1, 1, 2), strict=True):
        file, index = case.source.first_phase[k]
        assert image.ReferencedSOPInstanceUID == pydicom.dcmread(file).SOPInstanceUID
        assert image.get("ReferencedFrameNumber") == (index + 1 if layout == "enhanced" else None)


def test_the_segmentation_and_all_that_is_referred_to_is_evidence(
    read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    report = report_of(case := read_layout("enhanced"), lesions(case), tmp_path / "out", picture)
    segmentation = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    images = find_content_items(report, value_type="IMAGE", recursive=True)
    referred = {item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images}
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    listed = [item for series in evidence.ReferencedSeriesSequence for item in series.ReferencedSOPSequence]
    assert {item.ReferencedSOPInstanceUID for item in listed} == referred
    assert len(listed) == len(referred)
    assert segmentation.SOPInstanceUID in referred
    assert all("ReferencedFrameNumber" not in item for item in listed)
    assert report.SOPClassUID.name == "Comprehensive SR Storage"


def test_highdicom_reads_the_report(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    report_of(case, lesions(case), tmp_path / "out", picture)
    content = highdicom.sr.srread(tmp_path / "out" / "report.dcm").content
    (whole,) = content.get_volumetric_roi_measurement_groups()
    assert whole.finding_type.value == "55641003"
    assert whole.get_measurements()[0].unit.value == "ml"
    assert whole.referenced_segment is not None
    assert len(content.get_image_measurement_groups()) == 3


def test_no_lesion_is_a_volume_of_0(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    assert volumes(report_of(case, np.zeros(case.series.shape[1:], bool), tmp_path / "out", picture)) == [0.0]


def test_of_many_lesions_the_largest_are_listed(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    mask = np.zeros(case.series.shape[1:], bool)
    mask[1, ::3, ::3] = True
    report = report_of(case, mask, tmp_path / "out", picture)
    assert len(volumes(report)) == 21
    assert f"{mask.sum() - 20} smaller pieces" in " ".join(texts(report))


def texts(report: Dataset) -> list[str]:
    return [item.TextValue for item in find_content_items(report, value_type="TEXT", recursive=True)]


def test_findings_stand_in_letters_that_any_character_set_has(
    read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    case = read_layout("one-series")
    report = report_of(case, lesions(case), tmp_path / "out", picture, "The head moved by 2 µm.")
    assert "serious: The head moved by 2 ?m." in texts(report)
    assert "Research use only, not for clinical use." in texts(report)


def test_synthetic_training_data_stands_in_every_object(
    read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    case, card = read_layout("one-series"), ModelCard(kind="phantom", validation_dice=0.5)
    written = write_dicom(tmp_path / "out", case, replace(predicted(lesions(case)), card=card), picture)
    objects = {word: pydicom.dcmread(tmp_path / "out" / name) for word, name in written.items()}
    assert "Networks trained on synthetic patients." in texts(objects["report"])
    for data in objects.values():
        described = " ".join(item.ContributionDescription for item in data.ContributingEquipmentSequence)
        assert "trained on synthetic patients. Research" in described
    plain = report_of(case, lesions(case), tmp_path / "plain", picture)
    assert "synthetic" not in str(plain)


def test_no_side_is_named_where_the_source_states_none(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    case = replace(case, geometry=replace(case.geometry, sides_stated=False))
    assert "Laterality" not in str(report_of(case, lesions(case), tmp_path / "out", picture))
