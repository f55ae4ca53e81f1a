"""Maps come back in their own units, value by value."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from support.dicom_results import by_source
from support.predictions import predicted

from ctpdeploy.runtime import Case, Prediction
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.report.dicom.writer import write_dicom

UNITS = {
    "probability": ("110854", "1"),
    "pseudo_dwi": ("113043", "[arb'U]"),
    "cbf": ("126390", "ml/[100]g/min"),
    "cbv": ("126391", "ml/[100]g"),
    "mtt": ("113052", "s"),
    "tmax": ("113084", "s"),
}


def shaded(case: Case) -> Prediction:
    rng = np.random.default_rng(3)
    shape = case.series.shape[1:]
    prediction = predicted(np.zeros(shape, bool), rng.normal(size=shape).astype(np.float32))
    outputs = replace(prediction.outputs, probability=rng.random(shape, dtype=np.float32))
    return replace(prediction, outputs=outputs)


@pytest.mark.parametrize("layout", ["one-series", "tilt", "enhanced"])
def test_every_voxel_comes_back(layout: str, read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout(layout)
    prediction = shaded(case)
    names = write_dicom(tmp_path / "out", case, prediction, picture)
    volumes = {"probability": prediction.probability, "pseudo_dwi": prediction.pseudo_dwi, **case.maps}
    assert set(volumes) == set(UNITS) == set(names) - {"segmentation", "report", "overview"}
    assert isinstance(case.source, DicomSource)
    for name, volume in volumes.items():
        data = pydicom.dcmread(tmp_path / "out" / names[name])
        found = by_source(data)
        for k, (file, index) in enumerate(case.source.first_phase):
            uid = case.source.instance_uids[0][k]
            pixels = found[uid, index + 1 if layout == "enhanced" else 0]
            assert pixels.dtype == np.float32
            assert_array_equal(pixels, case.geometry.to_source(volume)[..., k].T, err_msg=str(file))
        (mapping,) = data.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
        quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue
        assert (quantity, mapping.MeasurementUnitsCodeSequence[0].CodeValue) == UNITS[name]
        assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
        assert data.ContentQualification == "RESEARCH"


def test_highdicom_reads_the_values(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    write_dicom(tmp_path / "out", case, shaded(case), picture)
    volume = highdicom.imread(tmp_path / "out" / "tmax.dcm").get_volume()
    places = np.argwhere(volume.array > 8) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    k, j, i = np.nonzero(case.geometry.to_source(case.maps["tmax"]).T > 8)
    expected = (np.stack([i, j, k, 0 * i + 1]).T @ case.geometry.affine.T)[:, :3] * (-1, -1, 1)
    assert len(expected)
    assert_array_equal(np.unique(np.round(places, 3), axis=0), np.unique(np.round(expected, 3), axis=0))


def test_maps_that_were_given_and_images_that_were_not_made_are_left_out(
    read_layout: Callable[..., Case], tmp_path: Path, picture: Path
):
    case = replace(read_layout("one-series"), perfusion=None)
    names = write_dicom(tmp_path / "out", case, predicted(np.zeros(case.series.shape[1:], bool)), picture)
    assert not {"pseudo_dwi", *MAP_NAMES} & set(names)
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(names.values())


def test_what_is_not_finite_becomes_0(read_layout: Callable[..., Case], tmp_path: Path, picture: Path):
    case = read_layout("one-series")
    case.maps["tmax"][0, 0, :3] = (np.nan, np.inf, -np.inf)
    write_dicom(tmp_path / "out", case, shaded(case), picture)
    pixels = pydicom.dcmread(tmp_path / "out" / "tmax.dcm").pixel_array
    assert np.isfinite(pixels).all()
    assert np.count_nonzero(pixels == 0) == 3
