"""Heads of a slice or two: brain in a skull, in air."""

import numpy as np

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.geometry import Geometry

BRAIN, BONE = 35.0, 800.0


def case_of(first_frame: np.ndarray, spacing: tuple[float, float, float]) -> Case:
    """A case of that frame ``(D, H, W)`` twice, without maps."""
    return Case(
        identifier="made",
        series=np.stack([first_frame, first_frame]).astype(np.float32),
        maps={},
        times=np.arange(2.0),
        geometry=Geometry.of_affine(np.diag([*reversed(spacing), 1.0]), first_frame.shape[::-1]),
    )


def head(middle_mm: tuple[float, float], shape: tuple[int, int], pixel: float, radius: float = 70.0) -> Case:
    """A round skull of 5 mm with a brain of a radius in mm inside, its middle so many mm from the first pixel's."""
    y, x = (np.arange(n) * pixel for n in shape)
    distance = np.hypot(y[:, None] - middle_mm[0], x - middle_mm[1])
    image = np.where(distance < radius, BRAIN, np.where(distance < radius + 5, BONE, -1000.0))
    return case_of(np.stack([image] * 2), (5.0, pixel, pixel))
