"""DICOM images written by pydicom from arrays, one element changed where a test wants it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

from support.nifti_cases import bolus_series

FRAMES, SLICES, ROWS, COLUMNS = 20, 3, 20, 24
SPACING = (9.0, 9.0)
DISTANCE = 6.0
Edit = Callable[[Dataset, int, int], None]


def head_series(frames: int = FRAMES, slices: int = SLICES) -> np.ndarray:
    """HU ``(T, Z, rows, columns)`` int16 of a head with a bolus."""
    return np.rint(bolus_series((COLUMNS, ROWS, slices), frames).transpose(3, 2, 1, 0)).astype(np.int16)


def uid(*words: object) -> str:
    """A UID of these words, always the same."""
    return generate_uid(entropy_srcs=["/".join(map(str, words))])


def clock(seconds: float) -> str:
    """A time of the day, ``HHMMSS.FFFFFF``, so many seconds after eleven in the morning."""
    whole = 11 * 3600 + seconds
    return f"{int(whole // 3600) % 24:02d}{int(whole % 3600 // 60):02d}{whole % 60:09.6f}"


def image(
    hu: np.ndarray,
    position: Sequence[float],
    name: str,
    *,
    series: str = "ctp",
    study: str = "study",
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    spacing: Sequence[float] = (DISTANCE, *SPACING),
) -> FileDataset:
    """A CT image of HU ``(rows, columns)``."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid(study, series, name)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID = uid(study), uid(study, series)
    data.FrameOfReferenceUID = uid(study, "space")
    data.Modality, data.ImageType, data.SeriesNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 3
    data.PatientName, data.PatientID, data.StudyDate, data.StudyTime = "Doe^Jane", "4711", "20260102", "110000"
    data.SeriesDescription, data.Manufacturer = "CTP", "Synthetic"
    data.ImagePositionPatient, data.ImageOrientationPatient = list(position), list(orientation)
    data.PixelSpacing, data.SliceThickness = list(spacing[1:]), spacing[0]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = hu.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = hu.astype("<i2").tobytes()
    return data


def write_scan(
    folder: Path,
    hu: np.ndarray | None = None,
    times: np.ndarray | None = None,
    *,
    edit: Edit | None = None,
    series: str = "ctp",
    study: str = "study",
    part: str = "",
    bottom: float = 0.0,
    spacing: Sequence[float] = (DISTANCE, *SPACING),
    order: Callable[[int, int], int] | None = None,
) -> np.ndarray:
    """A scan of one file an image, named by a shuffled number; its HU.

    Args:
        folder: made where it is not there.
        hu: ``(T, Z, rows, columns)``.
        times: ``(T,)`` or ``(T, Z)`` in s.
        edit: changes the image of a phase and slice before it is written; raising StopIteration leaves it out.
        series: word of which the UID is made.
        study: the same.
        part: word of which the UIDs of the images are made.
        bottom: z of the first slice.
        spacing: of slices, rows and columns.
        order: number of the instance of a phase and slice.
    """
    hu = head_series() if hu is None else hu
    times = np.arange(len(hu)) * 2.0 if times is None else times
    times = np.broadcast_to(times[:, None] if times.ndim == 1 else times, hu.shape[:2])
    shuffled = np.random.default_rng(len(hu)).permutation(hu[:, :, 0, 0].size)
    folder.mkdir(parents=True, exist_ok=True)
    for t, z in np.ndindex(hu.shape[:2]):
        position, name = (-108.0, -90.0, bottom + z * spacing[0]), f"{part}{t}-{z}"
        data = image(hu[t, z], position, name, series=series, study=study, spacing=spacing)
        number = int(shuffled[t * hu.shape[1] + z]) if order is None else order(t, z)
        data.InstanceNumber = number + 1
        data.AcquisitionDate, data.AcquisitionTime = "20260102", clock(float(times[t, z]))
        try:
            if edit:
                edit(data, t, z)
        except StopIteration:
            continue
        data.save_as(folder / f"{series}{number:05d}", enforce_file_format=True)
    return hu


def stored(data: Dataset, hu: np.ndarray, slope: float, intercept: float, kind: str = "<u2") -> None:
    """Store HU as ``(hu - intercept) / slope`` in a type of two bytes."""
    data.RescaleSlope, data.RescaleIntercept = slope, intercept
    data.PixelRepresentation = int(kind == "<i2")
    data.PixelData = np.rint((hu - intercept) / slope).astype(kind).tobytes()


def enhanced(
    hu: np.ndarray, places: Sequence[tuple[int, int]], times: np.ndarray, name: str, *, keyword: str
) -> FileDataset:
    """An enhanced CT object of some phases and slices, each with a rescale of its own."""
    t, z = places[0]
    data = image(hu[t, z], (0.0, 0.0, 0.0), name)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    for gone in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
                 "RescaleIntercept"):  # fmt: skip
        delattr(data, gone)
    shared, frames, pixels = Dataset(), [], []
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = list(SPACING), DISTANCE
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
    for t, z in places:
        frame, place, values, content = Dataset(), Dataset(), Dataset(), Dataset()
        place.ImagePositionPatient = [-108.0, -90.0, z * DISTANCE]
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 1, -float(10 * z + t), "HU"
        setattr(content, keyword, f"20260102{clock(float(times[t]))}" if "Date" in keyword else t + 5)
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = Items([place]), Items([values])
        frame.FrameContentSequence = Items([content])
        frames.append(frame)
        pixels.append((hu[t, z] + 10 * z + t).astype("<i2").tobytes())
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = Items([shared]), Items(frames)
    data.NumberOfFrames, data.PixelData = len(places), b"".join(pixels)
    return data
