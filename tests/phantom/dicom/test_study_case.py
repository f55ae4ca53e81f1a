"""Patients as studies: the truth lies on the voxels that were sent."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.dicom_studies import frames, grid, objects

from ctpdeploy.errors import UnknownKeyError, UsageError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient, write_dataset

TINY = PhantomConfig(size=64, slices=2, frames=20)


@pytest.fixture(scope="module")
def patient() -> Patient:
    """The first of seed 3, as ``write_dataset`` makes it."""
    return make_patient(np.random.SeedSequence(3, spawn_key=(1,)), TINY)


def written(folder: Path, layout: str) -> tuple[Path, np.ndarray, np.ndarray, dict]:
    """The case's folder, its HU and times as the second reader finds them, and the truth."""
    (case,) = write_dataset(folder, cases=1, seed=3, config=TINY, layout=layout)
    truth = json.loads((case / "truth" / "truth.json").read_text())
    (scan,) = truth["study"]["scans"]
    files = [path for path in (case / "study").rglob("*") if path.suffix not in (".TXT", ".INF") and path.is_file()]
    found = objects([path for path in files if path.name != ".DS_Store"])
    hu, seconds, _ = grid(frames(found, scan["series_uids"], scan["clock"]), np.array(scan["affine"]))
    return case, hu, seconds, truth


def test_the_truth_lies_on_the_voxels_of_the_study(tmp_path: Path, patient: Patient):
    case, hu, seconds, truth = written(tmp_path, "tilt")
    expected = np.clip(np.rint(patient.series), -1024, 3071)
    inside = hu > -2000
    assert np.array_equal(hu[inside], expected[..., ::-1, ::-1][inside])
    np.testing.assert_allclose(seconds[:, 0] - seconds[0, 0], patient.times, atol=1.5e-6)
    affine = np.array(truth["study"]["scans"][0]["affine"])
    for name, volume in (("lesion", patient.lesion), ("dwi", patient.dwi)):
        image = nib.load(case / "truth" / f"{name}.nii.gz")
        assert np.array_equal(np.asanyarray(image.dataobj).T, volume[:, ::-1, ::-1])
        np.testing.assert_allclose(image.affine, affine, atol=1e-4)
    lesion = nib.load(case / "truth" / "lesion.nii.gz")
    to_the_right = np.einsum("x,xn->n", affine[0, :3], np.argwhere(lesion.get_fdata()).T) + affine[0, 3]
    side = np.sign(np.argwhere(patient.lesion)[:, 2].mean() - (patient.lesion.shape[2] - 1) / 2)
    assert np.sign(to_the_right.mean()) == side, "right of the patient is right of the study"
    assert truth["lesion_ml"] == pytest.approx(patient.lesion_ml)
    assert truth["study"]["layout"] == "tilt"


def test_a_moving_table_shows_the_patient_at_the_times_of_each_slice(tmp_path: Path, patient: Patient):
    _, hu, seconds, truth = written(tmp_path, "ge-shuttle")
    times = np.array(truth["study"]["scans"][0]["slice_times_s"])
    np.testing.assert_allclose(seconds - seconds.min(), times, atol=1.5e-6)
    assert times[0].tolist() == [0.0, np.diff(patient.times)[0] / 2]
    assert len(hu) == len(patient.times) - 1, "the last phase would end behind the last frame"
    between = (patient.series[:-1, 1] + patient.series[1:, 1]) / 2
    inside = hu[0, 0] > -3000
    for k, expected in ((0, patient.series[:-1, 0]), (1, between)):
        sent = np.clip(np.rint(expected), -1024, 3071)[..., ::-1, ::-1]
        assert np.abs(hu[:, k] - sent)[:, inside].max() <= 1


def test_a_layout_that_is_none_is_refused_before_anything_is_made(tmp_path: Path):
    with pytest.raises(UnknownKeyError, match="layouts of studies"):
        write_dataset(tmp_path / "out", cases=1, layout="enhancd")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layout", "slices", "least"), [("two-slabs", None, 4), ("two-slabs", 3, 4), ("enhanced", 1, 2)]
)
def test_too_few_slices_for_a_layout_are_refused_before_anything_is_made(
    tmp_path: Path, layout: str, slices: int | None, least: int
):
    with pytest.raises(UsageError, match=f"--set slices={least}"):
        write_dataset(tmp_path / "out", cases=1, config=replace(TINY, slices=slices), layout=layout)
    assert not (tmp_path / "out").exists()


def test_two_slabs_of_enough_slices_are_written(tmp_path: Path):
    write_dataset(tmp_path / "out", cases=1, config=replace(TINY, slices=4), layout="two-slabs")
    truth = json.loads((tmp_path / "out" / "case_1" / "truth" / "truth.json").read_text())
    assert [scan["slices"] for scan in truth["study"]["scans"]] == [[0, 1], [2, 3]]
