"""Small studies of random numbers, in which no pixel is like another."""

from pathlib import Path
from typing import Any

import numpy as np

from ctpdeploy.phantom.dicom import StudyTruth, write_study

PHASES, SLICES, ROWS, COLUMNS = 14, 4, 12, 10
TURNED = np.array([[-0.8, 0.05, 0.3], [0.06, -0.9, 0.2], [0.04, 0.08, 5.0]])


def random_series() -> np.ndarray:
    """HU ``(T, K, J, I)``."""
    hu = np.random.default_rng(5).integers(-1024, 2048, (PHASES, SLICES, ROWS, COLUMNS))
    return hu.astype(np.int16)


def random_maps() -> dict[str, np.ndarray]:
    """Maps ``(K, J, I)`` in hundredths of their units."""
    rng = np.random.default_rng(6)
    shape = (SLICES, ROWS, COLUMNS)
    return {name: rng.integers(0, 3000, shape) / 100 for name in ("cbf", "cbv", "mtt", "tmax")}


def turned_affine() -> np.ndarray:
    """A stack that stands straight, in no plane of the body."""
    directions, triangle = np.linalg.qr(TURNED)
    affine = np.eye(4)
    affine[:3, :3] = directions * np.sign(np.diag(triangle)) * np.linalg.norm(TURNED, axis=0)
    affine[:3, 3] = (60.0, 50.0, -12.0)
    return affine


def write_random_study(folder: Path, layout: str, affine: np.ndarray | None = None, **more: Any) -> StudyTruth:
    """A study of the random series; in it nothing but the scan, unless ``junk`` or ``maps`` are given."""
    affine = turned_affine() if affine is None else affine
    times = np.arange(PHASES) * (2.0 if layout == "uneven" else 1.75)
    return write_study(folder, random_series(), times, affine, layout, **{"junk": False, **more})
