"""A second reader of studies, small and slow: pydicom's pixels, and a dictionary by place and time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset


@dataclass(frozen=True, eq=False)
class Frame:
    """An image: its clock in s, first pixel in RAS+ mm, steps along columns and rows, HU and where the padding is."""

    seconds: float
    position: np.ndarray
    along: np.ndarray
    down: np.ndarray
    hu: np.ndarray
    padded: np.ndarray


def objects(files: Sequence[Path]) -> list[Dataset]:
    """The objects among files, each once."""
    return list({data.SOPInstanceUID: data for data in map(pydicom.dcmread, files)}.values())


def frames(found: Sequence[Dataset], series: Sequence[str], clock: str) -> list[Frame]:
    """The images of some series."""
    return [frame for data in found if data.SeriesInstanceUID in series for frame in _frames(data, clock)]


def grid(images: Sequence[Frame], affine: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU ``(T, K, J, I)``, seconds ``(T, K)`` and padding of images whose slices lie where the affine says."""
    by_slice: dict[int, list[Frame]] = {}
    for image in images:
        i, j, k = np.linalg.solve(affine[:3, :3], image.position - affine[:3, 3])
        np.testing.assert_allclose((i, j, k), (0, 0, round(k)), atol=1e-6)
        np.testing.assert_allclose(np.stack([image.along, image.down], axis=1), affine[:3, :2], atol=1e-9)
        by_slice.setdefault(round(k), []).append(image)
    assert sorted(by_slice) == list(range(len(by_slice)))
    stacks = [sorted(by_slice[k], key=lambda image: image.seconds) for k in range(len(by_slice))]
    parts = [
        np.array([[getattr(image, name) for image in stack] for stack in stacks])
        for name in ("hu", "seconds", "padded")
    ]
    hu, seconds, padded = (np.swapaxes(part, 0, 1) for part in parts)
    return hu, seconds, padded


def _frames(data: Dataset, clock: str) -> Iterator[Frame]:
    stored = data.pixel_array.reshape(-1, data.Rows, data.Columns)
    shared = data.get("SharedFunctionalGroupsSequence", [Dataset()])[0]
    per_frame = data.get("PerFrameFunctionalGroupsSequence", [data])
    for pixels, own in zip(stored, per_frame, strict=True):
        groups = [data, *(item[0].value[0] for group in (shared, own) for item in _sequences(group)), own]
        merged = {element.keyword: element.value for group in groups for element in group if element.VR != "SQ"}
        rows, columns = (np.array(merged["ImageOrientationPatient"], float).reshape(2, 3)) * (-1, -1, 1)
        between_rows, between_columns = map(float, merged["PixelSpacing"])
        yield Frame(
            seconds=_seconds(merged, clock),
            position=np.array(merged["ImagePositionPatient"], float) * (-1, -1, 1),
            along=rows * between_columns,
            down=columns * between_rows,
            hu=pixels * float(merged["RescaleSlope"]) + float(merged["RescaleIntercept"]),
            padded=pixels == merged.get("PixelPaddingValue", 2**20),
        )


def _sequences(group: Dataset) -> Iterator[list]:
    for element in group:
        if element.VR == "SQ" and element.value:
            yield [element]


def _seconds(merged: dict, clock: str) -> float:
    if clock == "TriggerTime":
        return float(merged["TriggerTime"]) / 1e3
    if clock == "TemporalPositionIdentifier":
        return merged[clock] * float(merged["TemporalResolution"]) / 1e3
    text = merged[clock] if "DateTime" in clock else merged[clock.replace("Time", "Date")] + merged[clock]
    return datetime.strptime(text, "%Y%m%d%H%M%S.%f").timestamp()
