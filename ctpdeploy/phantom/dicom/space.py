"""Space: where images lie in the patient, from an affine (PS3.3 C.7.6.2.1.1).

An affine A takes column, row and slice (i, j, k) to RAS+ mm; DICOM's patient axes run to the left, back and head, so
that with L = diag(-1, -1, 1, 1) A: the first pixel of slice k lies at L (0, 0, k, 1), rows run along the first and
columns along the second column of L.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["Space", "tilted"]

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
LEAST_VOLUME, RIGHT_ANGLE = 1e-6, 1e-6
"""Volume of a voxel as a share of what its sides could hold, and cosine between rows and columns."""

UPRIGHT_MM = 1e-3
"""A step from slice to slice along the plane that is less is rounding."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Space:
    """The grid of a stack of images.

    Attributes:
        affine: ``(4, 4)`` from ``(i, j, k)`` to RAS+ mm.
    """

    affine: FloatArray

    def __post_init__(self) -> None:
        square = self.affine.shape == (4, 4) and np.array_equal(self.affine[3], (0, 0, 0, 1))
        sizes = np.linalg.norm(self.affine[:3, :3], axis=0) if square else np.zeros(3)
        extends = square and abs(np.linalg.det(self.affine[:3, :3])) > LEAST_VOLUME * sizes.prod() > 0  # not so for NaN
        if not extends or abs(self.affine[:3, 0] @ self.affine[:3, 1]) > RIGHT_ANGLE * sizes[0] * sizes[1]:
            raise InputError("The affine gives images no right angles or no extent: give rows and columns that have.")

    @property
    def lps(self) -> NDArray[np.float64]:
        """The affine to DICOM's axes."""
        return TO_LPS @ np.asarray(self.affine, dtype=np.float64)

    @property
    def orientation(self) -> NDArray[np.float64]:
        """Image Orientation (Patient): directions of rows and columns ``(6,)``."""
        axes = self.lps[:3, :2]
        return (axes / np.linalg.norm(axes, axis=0)).T.ravel()

    @property
    def spacing(self) -> tuple[float, float]:
        """Pixel Spacing: from row to row and from column to column in mm."""
        along, down = np.linalg.norm(self.lps[:3, :2], axis=0)
        return float(down), float(along)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Direction across the images, of length 1."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def distance(self) -> float:
        """From image to image along the normal in mm."""
        return float(abs(self.normal @ self.lps[:3, 2]))

    @property
    def gantry_tilt(self) -> float:
        """Angle between the normal and the way from image to image in degrees, 0 for a stack that stands straight."""
        step = self.lps[:3, 2]
        slant = step - (step @ self.normal) * self.normal
        if np.linalg.norm(slant) < UPRIGHT_MM:
            return 0.0
        angle = np.degrees(np.arctan2(np.linalg.norm(slant), self.distance))
        return float(np.copysign(angle, slant @ self.orientation[3:]))

    def position(self, k: int) -> NDArray[np.float64]:
        """Image Position (Patient) of slice ``k``, ``(3,)``."""
        return self.lps[:3, 3] + k * self.lps[:3, 2]

    def from_slice(self, k: int) -> "Space":
        """The grid of the images from slice ``k`` on."""
        matrix = np.array(self.affine, dtype=np.float64)
        matrix[:3, 3] += k * matrix[:3, 2]
        return Space(affine=matrix)

    def finer(self, times: int) -> "Space":
        """The grid of so many times more slices in the same place."""
        matrix = np.array(self.affine, dtype=np.float64)
        matrix[:3, 3] -= (times - 1) / (2 * times) * matrix[:3, 2]
        matrix[:3, 2] /= times
        return Space(affine=matrix)

    def reformatted(self, along: int, across: int, slices: int) -> "Space":
        """The grid of images that stand across the slices, the last slice in their first row.

        Args:
            along: axis of this grid, 0 or 1, along which their rows run.
            across: the other one, along which they stand one behind the other.
            slices: number of slices of this grid.
        """
        normal = TO_LPS[:3, :3] @ self.normal
        step = (self.affine[:3, 2] @ normal) * normal
        matrix = np.eye(4)
        matrix[:3] = np.stack(
            [
                self.affine[:3, along],
                -step,
                self.affine[:3, across],
                self.affine[:3, 3] + (slices - 1) * step,
            ],
            axis=1,
        )
        return Space(affine=matrix)


def tilted(affine: FloatArray, degrees: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The affine of a stack ``(K, J, I)`` whose images are turned about their rows, while the table goes on as before.

    The middle of the stack stays where it is. What is in the images is sheared with them.
    """
    k, j, i = shape
    middle = np.array([(i - 1) / 2, (j - 1) / 2, (k - 1) / 2])
    matrix = np.array(affine, dtype=np.float64)
    along = matrix[:3, 0] / np.linalg.norm(matrix[:3, 0])
    down = matrix[:3, 1].copy()
    angle = np.radians(degrees)
    matrix[:3, 1] = np.cos(angle) * down + np.sin(angle) * np.cross(along, down)  # Rodrigues: the rows are the axis
    matrix[:3, 3] += (affine[:3, :3] - matrix[:3, :3]) @ middle
    return matrix
