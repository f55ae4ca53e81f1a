"""Studies of a small patient with perfusion maps, and what goes wrong with the maps on their way."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.dicom import StudyTruth, write_study
from ctpdeploy.runtime import Case, case_from_arrays
from ctpdeploy.runtime.data.case import MAP_NAMES

SLICES, FRAMES, SIZE = 4, 24, 64
NUMBERS = dict(zip(MAP_NAMES, range(601, 605), strict=True))
"""Series Number of each map that is a series of its own."""

Edit = Callable[[Dataset], None]


@cache
def patient(number: int = 3) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """HU ``(T, K, J, I)``, maps ``(K, J, I)`` and the affine, as a scanner orders them."""
    made = make_patient(np.random.SeedSequence(number), PhantomConfig(size=SIZE, slices=SLICES, frames=FRAMES))
    dz, dy, dx = made.spacing
    affine = np.diag([-dx, -dy, dz, 1.0])
    affine[:3, 3] = (100.0, 110.0, -20.0)
    maps = {name: np.ascontiguousarray(values[:, ::-1, ::-1]) for name, values in made.maps.items()}
    return np.rint(made.series[:, :, ::-1, ::-1]).astype(np.int16), maps, affine


def times() -> np.ndarray:
    """Of the frames in s."""
    return 1.75 * np.arange(FRAMES)


def write_patient(folder: Path, layout: str, *, of_maps: int = 3, number: int = 3, junk: bool = False) -> StudyTruth:
    """A patient's study with maps, by default its own."""
    hu, _, affine = patient(number)
    return write_study(folder, hu, times(), affine, layout, maps=patient(of_maps)[1], seed=2, junk=junk)


def given(*, slices: slice = slice(None)) -> Case:
    """The same patient with its maps without DICOM."""
    hu, maps, affine = patient()
    return case_from_arrays(
        hu[:, slices], times(), affine=affine, maps={name: values[slices] for name, values in maps.items()}
    )


def files_of(folder: Path, *numbers: int) -> list[Path]:
    """The files of series by their numbers, slices from foot to head."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and path.read_bytes()[128:132] == b"DICM":
            data = pydicom.dcmread(path, stop_before_pixels=True)
            if data.SeriesNumber in numbers:
                found.append((data.SeriesNumber, float(data.get("ImagePositionPatient", (0, 0, 0))[2]), path))
    return [path for *_, path in sorted(found)]


def edit_files(paths: list[Path], change: Edit) -> None:
    """Files with their headers changed."""
    for path in paths:
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)


def again(paths: list[Path], change: Edit = lambda _: None) -> None:
    """The same images in other series."""
    uids: dict[str, str] = {}
    for path in paths:
        data = pydicom.dcmread(path)
        data.SeriesInstanceUID = uids.setdefault(data.SeriesInstanceUID, generate_uid())
        data.SeriesNumber += 50
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        change(data)
        data.save_as(path.with_name(f"{path.name}again"))
