"""A bolus laid over the plain slices of a head, real or not: what a scanner would have sent of the same head with one.

The slices keep their headers, all but what tells an image from another of a dynamic scan; only their pixels brighten,
by the phantom's curves: arteries, a vein, tissue, and a box of tissue behind a closed artery.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from ctpdeploy.phantom.bolus import Bolus, tissue_rows
from ctpdeploy.runtime.perfusion.brain import brain_mask
from support.dicom_images import clock

TIMES = np.arange(45) * 1.5
CBF, MTT = 55.0, 4.5
"""Of tissue, in ml/100g/min and s."""
LATE_CBF, LATE_MTT, LATE_S = 25.0, 9.0, 12.0
"""Of the tissue in the box, and how much later than other tissue the bolus comes to it, in s."""

NOISE_HU = 3.0
"""In every pixel of every frame, anew; a slice's own noise stays the same at all times."""

VESSEL_MM = 2.0
VESSELS = {(0.5, 0.12): "artery", (0.12, 0.45): "artery", (0.88, 0.45): "artery", (0.5, 0.97): "vein"}
"""Where in the brain of each slice, as shares of its width from the image's left and of its height from the top."""

BOX_MM = (24.0, 24.0, 40.0)
OFF_MIDLINE_MM = 32.0


@dataclass(frozen=True, eq=False)
class Slice:
    """A plain slice, its numbers taken from its header without the package's reader.

    Attributes:
        header: of its file.
        hu: ``(rows, columns)``.
    """

    header: FileDataset
    hu: NDArray[np.float32]

    @property
    def spacing(self) -> tuple[float, float]:
        """Of rows and of columns in mm."""
        down, along = map(float, self.header.PixelSpacing)
        return down, along

    @property
    def directions(self) -> NDArray[np.float64]:
        """Along a row, and down a column, in LPS."""
        return np.array(self.header.ImageOrientationPatient, float).reshape(2, 3)

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """Of the centres of the pixels in the patient, LPS mm, ``(rows, columns, 3)``."""
        rows, columns = (index[..., None] for index in np.indices(self.hu.shape))
        corner, (down, along) = np.array(self.header.ImagePositionPatient, float), self.spacing
        return corner + columns * along * self.directions[0] + rows * down * self.directions[1]

    @cached_property
    def brain(self) -> NDArray[np.bool_]:
        """``(rows, columns)``."""
        return brain_mask(self.hu[None], (1.0, *self.spacing))[0]


def read_slices(files: Iterable[Path]) -> list[Slice]:
    """Slices from foot to head."""
    headers = sorted(map(pydicom.dcmread, files), key=lambda header: float(header.ImagePositionPatient[2]))
    return [
        Slice(header, header.pixel_array * np.float32(header.RescaleSlope) + np.float32(header.RescaleIntercept))
        for header in headers
    ]


def box_in(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Two corners ``(2, 3)`` in LPS mm of a box in the left half of the brain, as high as the middle slice."""
    middle = slices[len(slices) // 2]
    centre = middle.places[middle.brain].mean(axis=0)
    centre[0] += OFF_MIDLINE_MM  # to the left
    return centre + np.outer((-0.5, 0.5), BOX_MM)


def inside(one: Slice, box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Pixels of a slice whose centres lie in a box and in the brain ``(rows, columns)``."""
    return ((one.places >= box[0]) & (one.places <= box[1])).all(axis=-1) & one.brain


def write_study(folder: Path, slices: Sequence[Slice], box: NDArray[np.float64]) -> None:
    """Write the slices at all times, a file an image."""
    folder.mkdir(parents=True)
    rng, curves = np.random.default_rng(0), _curves()
    for z, one in enumerate(slices):
        masks = _masks(one, box)
        for t, seconds in enumerate(TIMES):
            hu = one.hu + NOISE_HU * rng.standard_normal(one.hu.shape, dtype=np.float32)
            for name, mask in masks.items():
                hu[mask] += curves[name][t]
            _write(folder / f"{t:03d}-{z:03d}", one, hu, seconds, t * len(slices) + z + 1)


def _write(path: Path, one: Slice, hu: NDArray[np.float32], seconds: float, number: int) -> None:
    data, padding = one.header, one.header.get("PixelPaddingValue")
    stored = np.rint((hu - data.RescaleIntercept) / data.RescaleSlope).astype(np.int16)
    if padding is not None:
        stored[data.pixel_array == padding] = padding
    kept = data.SOPInstanceUID, data.PixelData
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[kept[0], str(number)])
    data.AcquisitionDate, data.AcquisitionTime, data.InstanceNumber = "20260102", clock(float(seconds)), number
    data.PixelData = stored.tobytes()
    data.save_as(path, enforce_file_format=True)
    data.SOPInstanceUID, data.PixelData = kept


def _masks(one: Slice, box: NDArray[np.float64]) -> Mapping[str, NDArray[np.bool_]]:
    """Pixels that brighten by each curve."""
    masks = {name: np.zeros_like(one.brain) for name in ("artery", "vein")}
    if one.brain.any():
        top, left = np.argwhere(one.brain).min(axis=0)
        height, width = np.ptp(np.argwhere(one.brain), axis=0)
        for (across, down), name in VESSELS.items():
            centre = one.places[top + int(down * height), left + int(across * width)]
            masks[name] |= np.linalg.norm(one.places - centre, axis=-1) <= VESSEL_MM
    tissue = one.brain & ~masks["artery"] & ~masks["vein"]
    late = inside(one, box)
    return {**masks, "late": tissue & late, "tissue": tissue & ~late}


def _curves() -> Mapping[str, NDArray[np.float32]]:
    """HU above the plain slice at all times, by what has it."""
    bolus = Bolus(
        start=6.0,
        shape=3.0,
        scale=2.4,
        peak=350.0,
        residue="gamma",
        residue_shape=2.0,
        venous_delay=3.5,
        duration=float(TIMES[-1]),
    )
    table = bolus.table()
    rows, weights = tissue_rows(np.array([MTT, LATE_MTT]), np.array([0.5, LATE_S]))
    tissue, late = np.einsum("kn,knt->nt", weights, table[rows])
    found = {"tissue": CBF * tissue, "late": LATE_CBF * late, "artery": bolus.aif(), "vein": bolus.vof()}
    return {name: bolus.at(curve, TIMES) for name, curve in found.items()}
