"""A case from arrays is the case that the same numbers make as files."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, case_from_arrays, read_case
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.report.writers import write_volume

SHAPE = (3, 20, 24)
SERIES = nifti_cases.bolus_series().T  # (T, K, J, I)
MAPS = {name[3:].lower(): values.astype(np.float32).T for name, values in nifti_cases.maps().items() if name != "OT"}
TIMES = np.arange(nifti_cases.FRAMES, dtype=float)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_any_affine_gives_the_case_of_a_file_with_it(tmp_path: Path, codes: str):
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), nifti_cases.SHAPE) @ np.diag(
        [9.0, 8.0, 27.0, 1.0]
    )
    paths = {"ctp": nifti_cases.save(tmp_path / "ctp.nii", nifti_cases.bolus_series(), affine=affine)}
    for name, values in MAPS.items():
        paths[name] = nifti_cases.save(tmp_path / f"{name}.nii", values.T, affine=affine)
    expected = read_nifti_case("filed", paths)
    found = case_from_arrays(SERIES, TIMES, affine=affine, maps=MAPS, name="filed")
    assert_array_equal(found.series, expected.series)
    assert found.series.dtype == expected.series.dtype
    for name, values in expected.maps.items():
        assert_array_equal(found.maps[name], values)
    assert_allclose(found.geometry.spacing, expected.geometry.spacing, rtol=1e-6)
    assert found.source is None
    written = tmp_path / "mask.nii.gz"
    write_volume(written, found.maps["tmax"], found)
    assert_array_equal(nifti_cases.load(written), MAPS["tmax"].T)
    assert_allclose(nib.load(written).affine, affine, rtol=1e-6)
    assert nib.load(written).header.get_xyzt_units()[0] == "mm"


def test_a_case_with_a_dicom_source_is_written_without_a_header_of_its_own(tmp_path: Path):
    found = case_from_arrays(SERIES, TIMES, spacing=np.array((27.0, 8.0, 9.0)), maps=MAPS)
    instances = tuple(tuple(f"1.2.{t}.{z}" for z in range(SHAPE[0])) for t in range(len(TIMES)))
    source = DicomSource(study_uid="1.2", series_uids=("1.3",), frame_of_reference_uid="1.4", instance_uids=instances)
    write_volume(tmp_path / "x.nii.gz", found.maps["cbf"], Case(**{**vars(found), "source": source}))
    assert_allclose(nib.load(tmp_path / "x.nii.gz").header.get_zooms(), (9.0, 8.0, 27.0), rtol=1e-6)


def test_numbers_keep_the_type_that_the_kernels_take():
    whole = np.rint(SERIES).astype(np.int64)
    assert case_from_arrays(whole, TIMES, spacing=(6, 9, 9), maps=MAPS).series.dtype == np.int16
    deep = np.where(whole < -500, -100_000, whole)  # air that fits into no 16 bits
    assert case_from_arrays(deep, TIMES, spacing=(6, 9, 9), maps=MAPS).series.dtype == np.float32
    assert case_from_arrays(SERIES.astype(float), TIMES, spacing=(6, 9, 9), maps=MAPS).series.dtype == np.float32


def test_times_begin_at_zero_and_may_be_those_of_slices():
    of_slices = 40.0 + TIMES[:, None] + np.array([0.0, 0.3, 0.1])
    upside_down = np.diag([9.0, 9.0, -6.0, 1.0])  # slices from head to foot
    found = case_from_arrays(SERIES, of_slices, affine=upside_down, maps=MAPS)
    assert found.slice_times is not None
    assert_allclose(found.slice_times, TIMES[:, None] + np.array([0.1, 0.3, 0.0]))
    assert_allclose(found.times, TIMES + 0.4 / 3)
    assert case_from_arrays(SERIES, TIMES + 3, spacing=(6, 9, 9), maps=MAPS).times[0] == 0.0


def test_lesion_and_dwi_come_along_and_maps_are_computed_where_there_are_none(phantom_folder: Path):
    read = read_case(phantom_folder / "case_1")
    spacing = read.geometry.spacing
    found = case_from_arrays(read.series, read.times, spacing=spacing, dwi=read.dwi, lesion=read.lesion)
    assert found.dwi is not None
    assert found.lesion is not None
    assert_array_equal(found.dwi, read.dwi)
    assert_array_equal(found.lesion, read.lesion)
    assert "maps-computed" in {finding.code for finding in found.findings}
    assert found.maps["cbf"].any()


BAD = {
    "one frame": ({"series": SERIES[:1], "times": [0.0]}, "at least two frames"),
    "no frames": ({"series": SERIES[0]}, "at least two frames"),
    "words": ({"series": np.full((2, 1, 1, 1), "a")}, "needs numbers"),
    "nan": ({"series": np.full(SERIES.shape, np.nan)}, "NaN or infinity"),
    "descending": ({"times": TIMES[::-1]}, "that ascend"),
    "too few times": ({"times": TIMES[:-1]}, "that ascend"),
    "no voxel size": ({"spacing": None}, "affine or a spacing"),
    "both": ({"affine": np.eye(4)}, "affine or a spacing"),
    "flat": ({"spacing": (0.0, 1.0, 1.0)}, "no directions or sizes"),
    "parallel": ({"spacing": None, "affine": np.ones((4, 4))}, "no directions or sizes"),
    "short affine": ({"spacing": None, "affine": np.eye(3)}, "no directions or sizes"),
    "two sizes": ({"spacing": (1.0, 1.0)}, "no directions or sizes"),
    "negative size": ({"spacing": (-5.0, 2.0, 2.0)}, "no directions or sizes"),
    "sizes as text": ({"spacing": "522"}, "needs numbers"),
    "huge size": ({"spacing": (1e300, 1.0, 1.0)}, "no directions or sizes"),
    "transposed affine": ({"spacing": None, "affine": np.diag([1.0, 1, 1, 1]) + np.eye(4, k=-3)}, "no directions"),
    "endless times": ({"times": [*TIMES[:-1], np.inf]}, "that ascend"),
    "times as text": ({"times": ["a"] * len(TIMES)}, "needs numbers"),
    "one time": ({"times": 1.0}, "that ascend"),
    "complex": ({"lesion": np.zeros(SHAPE, complex)}, "needs numbers"),
    "masked": ({"maps": {**MAPS, "mtt": np.ma.masked_less(MAPS["mtt"], np.median(MAPS["mtt"]))}}, "masked"),
    "ragged": ({"series": [[1], [1, 2]]}, "ragged"),
    "list of maps": ({"maps": list(MAPS.values())}, "no mapping"),
    "path": ({"name": "../x"}, "no name for a case"),
    "no name": ({"name": None}, "no name for a case"),
    "lacking": ({"maps": {"cbf": MAPS["cbf"]}}, "lacks CBV, MTT, TMAX"),
    "other grid": ({"maps": {**MAPS, "mtt": MAPS["mtt"][:2]}}, "The mtt of case has shape"),
    "nan in a map": ({"maps": {**MAPS, "mtt": np.full(SHAPE, np.nan)}}, "holds NaN"),
    "lesion of another": ({"lesion": np.zeros((2, 2, 2))}, "The lesion of case has shape"),
}


@pytest.mark.parametrize("kind", BAD)
def test_arrays_that_make_no_case_are_refused_in_a_sentence(kind: str):
    change, message = BAD[kind]
    given = {"series": SERIES, "times": TIMES, "spacing": (6.0, 9.0, 9.0), "maps": MAPS, **change}
    with pytest.raises(InputError, match=message) as refusal:
        case_from_arrays(given.pop("series"), given.pop("times"), **given)
    assert "\n" not in str(refusal.value)
