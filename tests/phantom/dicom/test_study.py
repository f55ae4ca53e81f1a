"""Studies read back by a second reader: every pixel at its place and time, whatever the layout."""

from pathlib import Path

import numpy as np
import pytest
from support.dicom_studies import frames, grid, objects

from ctpdeploy.phantom.dicom import LAYOUTS, StudyTruth, write_study

TIMES = np.arange(14) * 1.75
TURNED = np.array([[-0.8, 0.05, 0.3, 60.0], [0.06, -0.9, 0.2, 50.0], [0.04, 0.08, 5.0, -12.0], [0, 0, 0, 1.0]])


def series(slices: int = 4) -> np.ndarray:
    hu = np.random.default_rng(5).integers(-1024, 2048, (len(TIMES), slices, 12, 10))
    return hu.astype(np.int16)


def at_right_angles(matrix: np.ndarray) -> np.ndarray:
    """The affine with rows, columns and the way across them at right angles, their lengths kept."""
    q, r = np.linalg.qr(matrix[:3, :3])
    straight = matrix.copy()
    straight[:3, :3] = q * np.sign(np.diag(r)) * np.linalg.norm(matrix[:3, :3], axis=0)
    return straight


STRAIGHT = at_right_angles(TURNED)
SLANTED = STRAIGHT + np.pad([[0, 0, 0], [0, 0, 1.1], [0, 0, 0]], (0, 1))
FLIPPED = STRAIGHT * (1, -1, 1, 1)


def write(folder: Path, layout: str, affine: np.ndarray = STRAIGHT, **more: object) -> StudyTruth:
    times = np.arange(14) * 2.0 if layout == "uneven" else TIMES
    return write_study(folder, series(), times, affine, layout, **{"junk": False, **more})  # type: ignore[arg-type]


def compare(truth: StudyTruth) -> None:
    """Hold a study against what it was written from."""
    found = objects(truth.files)
    for scan in truth.scans:
        hu, seconds, padded = grid(frames(found, scan.series_uids, scan.clock), scan.affine)
        expected = series()[np.ix_(scan.frames, scan.slices)]
        inside = np.ones(hu.shape[2:], bool) if scan.field is None else scan.field
        assert hu.shape == expected.shape
        assert np.array_equal(hu[..., inside], expected[..., inside])
        assert np.array_equal(padded, np.broadcast_to(~inside, hu.shape))
        times = scan.times[:, None] if scan.slice_times is None else scan.slice_times
        np.testing.assert_allclose(seconds - seconds.min(), np.broadcast_to(times, seconds.shape), atol=1.5e-6)
        assert seconds.min() == seconds.ravel()[np.argmin(np.broadcast_to(times, seconds.shape))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_study_holds_every_pixel_at_its_place_and_time(layout: str, tmp_path: Path):
    compare(write(tmp_path / "study", layout))


@pytest.mark.parametrize("affine", [SLANTED, FLIPPED], ids=["slanted", "flipped"])
@pytest.mark.parametrize("layout", ["one-series", "enhanced"])
def test_slices_lie_where_the_affine_says(layout: str, affine: np.ndarray, tmp_path: Path):
    truth = write(tmp_path / "study", layout, affine)
    np.testing.assert_array_equal(truth.scans[0].affine, affine)
    compare(truth)
