"""A patient's study in every layout against the same arrays handed over without DICOM: cases, maps and masks alike."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.dicom.layouts import LAYOUTS
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.runtime import Case, Pipeline, case_from_arrays, find_cases
from ctpdeploy.runtime.dicom.study import find_studies

EXPECTED_KINDS = {
    "localiser": {"localiser"},
    "plain": {"volume"},
    "tracking": {"bolus tracking"},
    "reformatted": {"reformatted", "not axial", "perfusion map"},
    "angiography": {"volume", "phases"},
    "colour": {"colour", "colour map"},
    "map": {"perfusion map", "other modality", "not images"},
    "report": {"report"},
    "presentation": {"report"},
}


@pytest.fixture(scope="module")
def patient() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU as a scanner orders them, times and affine."""
    made = make_patient(np.random.SeedSequence(3), PhantomConfig(size=64, slices=4, frames=24))
    dz, dy, dx = made.spacing
    affine = np.diag([-dx, -dy, dz, 1.0])
    affine[:3, 3] = (100.0, 110.0, -20.0)
    return np.rint(made.series[:, :, ::-1, ::-1]).astype(np.int16), 1.75 * np.arange(24.0), affine


@pytest.fixture(scope="module")
def pipeline(bundle_folder: Path):
    with Pipeline.open(bundle_folder, "ort-cpu") as opened:
        yield opened


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_study_gives_what_its_arrays_give(
    tmp_path: Path, layout: str, patient: tuple[np.ndarray, np.ndarray, np.ndarray], pipeline: Pipeline
):
    series, times, affine = patient
    truth = write_study(tmp_path / "study", series, times, affine, layout, seed=2)
    cases = find_cases(tmp_path / "study")
    assert len(cases) == len(truth.scans)
    for case, scan in zip(cases, truth.scans, strict=True):
        hu = series[np.ix_(scan.frames, scan.slices)]
        if scan.field is not None:
            hu = np.where(scan.field, hu, np.int16(-1024))
        if len(scan.slices) < 3:  # half a slab may hold no artery
            continue
        clock = scan.times if scan.slice_times is None else scan.slice_times
        expected = case_from_arrays(hu, clock, affine=scan.affine, name=case.name, perfusion=pipeline.perfusion)
        found = case.read(pipeline.perfusion)
        assert_same(found, expected, shuttle=scan.slice_times is not None)
        assert found.interval_source == scan.clock
        ours, theirs = pipeline.predict(found), pipeline.predict(expected)
        if scan.slice_times is None:
            assert_array_equal(ours.mask, theirs.mask)
            assert [piece.side for piece in ours.components] == [piece.side for piece in theirs.components]
            assert ours.volume_ml == pytest.approx(
                theirs.volume_ml, rel=1e-6
            )  # of voxels whose sizes are decimal texts


def assert_same(found: Case, expected: Case, *, shuttle: bool) -> None:
    assert_array_equal(found.series, expected.series)
    assert_allclose(found.times, expected.times, atol=2e-6)
    assert_allclose(found.geometry.affine, expected.geometry.affine, atol=1e-4)
    assert found.geometry.spacing == pytest.approx(expected.geometry.spacing, rel=1e-4)
    if shuttle:
        assert found.slice_times is not None
        assert expected.slice_times is not None
        assert_allclose(found.slice_times, expected.slice_times, atol=2e-6)
    for name, values in expected.maps.items():
        assert_allclose(found.maps[name], values, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("layout", ["one-series", "ge-cine", "siemens-spiral", "canon-volumes", "philips-jog"])
def test_everything_around_a_scan_is_known_for_what_it_is(
    tmp_path: Path, layout: str, patient: tuple[np.ndarray, np.ndarray, np.ndarray]
):
    series, times, affine = patient
    maps = {name: np.full(series.shape[1:], value, np.float32) for name, value in
            {"cbf": 40.0, "cbv": 2.5, "mtt": 4.0, "tmax": 2.0}.items()}  # fmt: skip
    truth = write_study(tmp_path / "study", series, times, affine, layout, maps=maps, seed=2)
    (study,) = find_studies(sorted(path for path in (tmp_path / "study").rglob("*") if path.is_file()))
    assert truth.others
    found = {uid: verdict.kind for one, verdict in zip(study.series, study.verdicts, strict=True) for uid in one.uids}
    wrong = {kind: found.get(uid) for uid, kind in truth.others.items() if found.get(uid) not in EXPECTED_KINDS[kind]}
    assert wrong == {}
