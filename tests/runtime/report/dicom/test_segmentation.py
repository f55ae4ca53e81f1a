"""The lesion comes back on the images and in the place in the patient that it was planted in."""

from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support.dicom_images import head_series, write_scan
from support.dicom_results import by_source, ordered, placed_frames, points
from support.predictions import predicted

from ctpdeploy.phantom.dicom import write_study
from ctpdeploy.runtime import Case, find_cases
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.report.dicom.writer import write_dicom

CUBE = (slice(1, 3), slice(5, 9), slice(11, 16))
"""Slices, rows and columns of the images, without symmetry."""
HU = 90

TURNED = {
    "nose up": ((-9, 0, 0), (0, -9, 0), (0, 0, 6)),
    "from head to foot": ((-9, 0, 0), (0, -9, 0), (0, 0, -6)),
    "nose down": ((-9, 0, 0), (0, 9, 0), (0, 0, 6)),
    "left on the left": ((9, 0, 0), (0, -9, 0), (0, 0, 6)),
    "rows to the back": ((0, -9, 0), (-9, 0, 0), (0, 0, 6)),
    "slightly turned": ((-8.8, 1.887301, 0), (-1.887301, -8.8, 0), (0, 0, 6)),
}
"""Steps of a column, a row and a slice in RAS+ mm."""


def planted() -> np.ndarray:
    series = head_series()
    series[:, *CUBE] = HU
    return series


def affine_of(steps: tuple[tuple[float, ...], ...]) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(steps, float).T
    affine[:3, 3] = (31.0, -17.0, 44.5)
    return affine


def corners(affine: np.ndarray) -> np.ndarray:
    """Patient coordinates of the cube's voxels."""
    k, j, i = np.mgrid[CUBE].reshape(3, -1)
    return ordered((np.stack([i, j, k, 0 * i + 1]).T @ affine.T)[:, :3])


def segmented(case: Case, folder: Path, picture: Path) -> pydicom.Dataset:
    found = np.isclose(case.series.astype(np.float32), HU, atol=0.6).all(axis=0)
    assert np.count_nonzero(found) == 2 * 4 * 5
    return pydicom.dcmread(folder / write_dicom(folder, case, predicted(found), picture)["segmentation"])


@pytest.mark.parametrize("steps", TURNED.values(), ids=TURNED)
def test_a_cube_comes_back_at_its_place_in_the_patient(
    steps: tuple[tuple[float, ...], ...], read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    affine = affine_of(steps)
    data = segmented(read_layout("one-series", affine, planted()), tmp_path / "out", picture)
    assert_allclose(points(data), corners(affine), atol=0.011)
    volume = highdicom.seg.segread(tmp_path / "out" / "segmentation.dcm").get_volume(combine_segments=True)
    places = np.argwhere(volume.array) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    assert_allclose(ordered(places * (-1, -1, 1)), corners(affine), atol=0.011)


@pytest.mark.parametrize(
    "layout", ["tilt", "enhanced", "canon-volumes", "series-a-phase", "siemens-spiral", "implicit"]
)
def test_a_cube_comes_back_from_every_layout(layout: str, tmp_path: Path, picture: Path):
    truth = write_study(
        tmp_path / "study", planted(), 2.0 * np.arange(20), affine_of(TURNED["nose up"]), layout, junk=False
    )
    data = segmented(find_cases(tmp_path / "study")[0].read(), tmp_path / "out", picture)
    assert_allclose(points(data), corners(truth.scans[0].affine), atol=0.011)
    assert data.StudyInstanceUID == truth.study_uid
    (series,) = data.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == truth.scans[0].series_uids[0]


@pytest.mark.parametrize("layout", ["one-series", "tilt", "enhanced", "canon-volumes", "series-a-phase"])
def test_every_frame_is_of_the_image_that_it_refers_to(
    layout: str, read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    """Of the first phase, as the images themselves state their place."""
    case = read_layout(layout)
    mask = np.random.default_rng(0).random(case.series.shape[1:]) < 0.3
    write_dicom(tmp_path / "out", case, predicted(mask), picture)
    data = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert isinstance(case.source, DicomSource)
    found = by_source(data)
    assert len(found) == len(case.source.first_phase) == data.NumberOfFrames
    for k, (file, index) in enumerate(case.source.first_phase):
        header = pydicom.dcmread(file)
        several = "PerFrameFunctionalGroupsSequence" in header
        pixels = found[header.SOPInstanceUID, index + 1 if several else 0]
        assert_array_equal(pixels, case.geometry.to_source(mask)[..., k].T)
        place = header.PerFrameFunctionalGroupsSequence[index].PlanePositionSequence[0] if several else header
        (affine,) = [affine for frame, affine in placed_frames(data) if frame is not None and (frame == pixels).all()]
        assert_array_equal(affine[:3, 3], np.array(place.ImagePositionPatient, float))
    (series,) = data.ReferencedSeriesSequence
    listed = [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence]
    assert sorted(listed) == sorted({instance for instance, _ in found})
    assert {item.ReferencedSOPClassUID for item in series.ReferencedInstanceSequence} == {header.SOPClassUID}


def test_highdicom_finds_the_frames_by_the_images(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    mask = np.random.default_rng(0).random(case.series.shape[1:]) < 0.3
    write_dicom(tmp_path / "out", case, predicted(mask), picture)
    assert isinstance(case.source, DicomSource)
    pixels = highdicom.seg.segread(tmp_path / "out" / "segmentation.dcm").get_pixels_by_source_instance(
        list(case.source.instance_uids[0]), combine_segments=True
    )
    assert_array_equal(pixels, case.geometry.to_source(mask).T)


def test_a_case_without_a_lesion_has_a_segmentation_without_pixels(
    read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    case = read_layout("one-series")
    write_dicom(tmp_path / "out", case, predicted(np.zeros(case.series.shape[1:], bool)), picture)
    data = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert data.NumberOfFrames == 3
    assert not data.pixel_array.any()


def test_a_segment_says_what_it_is(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    data = segmented(read_layout("one-series", series=planted()), tmp_path / "out", picture)
    assert data.NumberOfFrames == 3, "empty ones too"
    (segment,) = data.SegmentSequence
    (kind,), (region,) = segment.SegmentedPropertyTypeCodeSequence, segment.AnatomicRegionSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == ("55641003", "SCT", "Infarct")
    assert (region.CodeValue, segment.SegmentAlgorithmType) == ("12738006", "AUTOMATIC")


def test_images_without_a_frame_of_reference_get_one(tmp_path: Path, picture: Path):
    def edit(data: pydicom.Dataset, *_: int) -> None:
        del data.FrameOfReferenceUID

    write_scan(tmp_path / "study", planted(), edit=edit)
    case = find_cases(tmp_path / "study")[0].read()
    data = [segmented(case, tmp_path / out, picture) for out in ("one", "again")]
    assert data[0].FrameOfReferenceUID == data[1].FrameOfReferenceUID != ""


def test_shades_are_the_probability_in_255ths(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    from dataclasses import replace

    case = read_layout("one-series")
    mask = np.zeros(case.series.shape[1:], bool)
    prediction, probability = predicted(mask), np.random.default_rng(5).random(mask.shape, dtype=np.float32)
    prediction = replace(prediction, outputs=replace(prediction.outputs, probability=probability))
    names = write_dicom(tmp_path / "out", case, prediction, picture, fractional=True)
    data = pydicom.dcmread(tmp_path / "out" / names["probability_segmentation"])
    assert (data.SegmentationType, data.MaximumFractionalValue) == ("FRACTIONAL", 255)
    assert isinstance(case.source, DicomSource)
    for k, uid in enumerate(case.source.instance_uids[0]):
        expected = case.geometry.to_source(probability)[..., k].T
        assert_allclose(by_source(data)[uid, 0] / 255, expected, atol=0.5 / 255 + 1e-6)
    assert data.SeriesInstanceUID != pydicom.dcmread(tmp_path / "out" / "segmentation.dcm").SeriesInstanceUID
