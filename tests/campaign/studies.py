"""What goes wrong with a study on its way from the scanner: images lost, doubled, exchanged, their headers changed.

A study is a folder with one series, an image a file. A mutation gets the files in the order in which they were taken,
another patient's files in the same order, and a generator, and changes files in place.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from campaign.campaign import Counts, OnOutcome, in_turns, pair
from campaign.judge import Outcome, compare
from ctpdeploy.errors import CtpdeployError
from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.runtime import Pipeline, find_cases
from ctpdeploy.runtime.data.prediction import Prediction

Files = list[Path]
Mutation = Callable[[Files, Files, np.random.Generator], None]

SLICES, FRAMES = 4, 24


def edited(path: Path, change: Callable[[FileDataset], None]) -> None:
    """A file with its header changed; values are written as they are given."""
    data = pydicom.dcmread(path)
    change(data)
    data.save_as(path)


def scope(files: Files, rng: np.random.Generator) -> Files:
    """One image, some, a phase, a slice, or all."""
    kind = rng.choice(["one", "some", "phase", "slice", "all"])
    number = int(rng.integers(len(files)))
    if kind == "one":
        return [files[number]]
    if kind == "some":
        return [files[int(i)] for i in rng.choice(len(files), len(files) // 8, replace=False)]
    if kind == "phase":
        return files[number // SLICES * SLICES :][:SLICES]
    return files[number % SLICES :: SLICES] if kind == "slice" else files


def without(*keywords: str) -> Mutation:
    """Elements that are not there."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        def change(data: FileDataset) -> None:
            for keyword in keywords:
                if keyword in data:
                    delattr(data, keyword)

        for path in scope(files, rng):
            edited(path, change)

    return mutate


def with_value(keyword: str, *values: Any) -> Mutation:
    """An element that says something else."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        value = values[int(rng.integers(len(values)))]
        for path in scope(files, rng):
            edited(
                path, lambda data: setattr(data, keyword, value(getattr(data, keyword)) if callable(value) else value)
            )

    return mutate


def lost(files: Files, _: Files, rng: np.random.Generator) -> None:
    """Images that never came."""
    for path in scope(files, rng)[: len(files) // 2]:
        path.unlink()


def doubled(files: Files, _: Files, rng: np.random.Generator) -> None:
    """The same file under another name."""
    for path in scope(files, rng):
        shutil.copyfile(path, path.with_name(f"{path.name}again"))


def sent_again(files: Files, _: Files, rng: np.random.Generator) -> None:
    """The same image under another UID, its pixels a little different."""
    for path in scope(files, rng):
        again = Path(shutil.copyfile(path, path.with_name(f"{path.name}again")))

        def change(data: FileDataset) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            data.PixelData = (np.frombuffer(data.PixelData, "<i2") + 3).astype("<i2").tobytes()

        edited(again, change)


def anothers_images(files: Files, others: Files, rng: np.random.Generator) -> None:
    """Another patient's images in the place of some."""
    places = {path: i for i, path in enumerate(files)}
    for path in scope(files, rng)[: len(files) // 2]:
        shutil.copyfile(others[places[path]], path)


def anothers_images_added(files: Files, others: Files, rng: np.random.Generator) -> None:
    """Another patient's images among them, as belonging to the series."""
    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    keep_id = bool(rng.integers(2))
    for path in scope(others, rng):
        stranger = Path(shutil.copyfile(path, files[0].with_name(f"{path.name}other")))

        def change(data: FileDataset) -> None:
            data.StudyInstanceUID, data.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
            data.FrameOfReferenceUID = first.FrameOfReferenceUID
            if not keep_id:
                data.PatientID = first.PatientID

        edited(stranger, change)


def cut(files: Files, _: Files, rng: np.random.Generator) -> None:
    """Files that end early."""
    for path in scope(files, rng):
        content = path.read_bytes()
        path.write_bytes(content[: int(rng.integers(len(content)))])


def garbled(files: Files, _: Files, rng: np.random.Generator) -> None:
    """A few bytes of a header."""
    for path in scope(files, rng):
        content = bytearray(path.read_bytes())
        for place in rng.integers(132, len(content) - 8192, 3):
            content[int(place)] = int(rng.integers(256))
        path.write_bytes(content)


def padded(files: Files, _: Files, rng: np.random.Generator) -> None:
    """A padding value that tissue has too."""
    value = int(rng.choice([40, 0, -1000]))
    for path in scope(files, rng):
        edited(path, lambda data: data.add_new(0x00280120, "SS", value))


def shifted(position: Sequence[float]) -> list[float]:
    """A position some millimetres away."""
    return [float(position[0]), float(position[1]), float(position[2]) + 3.0]


MUTATIONS: dict[str, Mutation] = {
    "images lost": lost,
    "images doubled": doubled,
    "images sent again": sent_again,
    "another's images": anothers_images,
    "another's images added": anothers_images_added,
    "files cut": cut,
    "headers garbled": garbled,
    "no times": without("AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "ContentTime", "ContentDate"),
    "no position": without("ImagePositionPatient"),
    "no orientation": without("ImageOrientationPatient"),
    "no pixel spacing": without("PixelSpacing"),
    "no rescale": without("RescaleSlope", "RescaleIntercept"),
    "no thickness": without("SliceThickness"),
    "no frame of reference": without("FrameOfReferenceUID"),
    "no series": without("SeriesInstanceUID"),
    "no study": without("StudyInstanceUID"),
    "no instance": without("SOPInstanceUID"),
    "no modality": without("Modality"),
    "no image type": without("ImageType"),
    "no bits": without("BitsStored", "HighBit"),
    "no sign": without("PixelRepresentation"),
    "no rows": without("Rows"),
    "another time": with_value("AcquisitionDateTime", "20260102101507.000000", "20250101000000", "x", ""),
    "another position": with_value("ImagePositionPatient", shifted, [0, 0, 0], ["nan", "0", "0"], [1, 2]),
    "another orientation": with_value("ImageOrientationPatient", [1, 0, 0, 0, 0, -1], [1, 0, 0, 0, 2, 0], [0] * 6),
    "another pixel spacing": with_value("PixelSpacing", [0.1, 0.1], [30.0, 30.0], [3.0, 4.5], [0, 0], [-3.4, -3.4]),
    "another slope": with_value("RescaleSlope", 0.1, 2, 0, -1, "nan"),
    "another intercept": with_value("RescaleIntercept", -1024, 1024, 24000, "inf"),
    "another thickness": with_value("SliceThickness", 0.5, 60, -5, 0),
    "another frame of reference": with_value("FrameOfReferenceUID", "1.2.3.4"),
    "another series": with_value("SeriesInstanceUID", "1.2.3.4"),
    "another modality": with_value("Modality", "MR", "OT", "SR"),
    "another image type": with_value(
        "ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"], ["DERIVED", "SECONDARY", "MPR"]
    ),
    "fewer bits": with_value("BitsStored", 8, 12, 17, 0),
    "another sign": with_value("PixelRepresentation", 0, 2),
    "another size": with_value("Rows", 32, 63, 65, 0, 65535),
    "another patient's ID": with_value("PatientID", "4712", ""),
    "padding like tissue": padded,
}


def write_studies(work: Path, count: int = 3) -> list[Path]:
    """Right studies of patients, one series each."""
    folders = []
    for number in range(count):
        made = make_patient(np.random.SeedSequence((9, number)), PhantomConfig(size=64, slices=SLICES, frames=FRAMES))
        dz, dy, dx = made.spacing
        folder = work / f"study_{number}"
        if not folder.exists():
            hu = np.rint(made.series[:, :, ::-1, ::-1]).astype(np.int16)
            affine = np.diag([-dx, -dy, dz, 1.0])
            write_study(folder, hu, 1.75 * np.arange(FRAMES), affine, "one-series", junk=False, name=f"DOE^{number}")
        folders.append(folder)
    return folders


def files_of(folder: Path) -> Files:
    """The images of a study in the order in which they were taken, slices from foot to head."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "DICOMDIR"]
    headers = {path: pydicom.dcmread(path, stop_before_pixels=True) for path in files}
    return sorted(
        (path for path in files if "Rows" in headers[path]),
        key=lambda path: (headers[path].AcquisitionDateTime, float(headers[path].ImagePositionPatient[2])),
    )


def run_studies(
    pipeline: Pipeline,
    studies: Sequence[Path],
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: OnOutcome = lambda *_: None,
) -> Counts:
    """Spoil and judge; as :func:`campaign.campaign.run`."""
    files = {folder: files_of(folder) for folder in studies}
    right = {folder: predicted(pipeline, folder)[0] for folder in studies}

    def attempt(kind: str, copy: Path, rng: np.random.Generator) -> Outcome:
        one, other = pair(studies, rng)
        copies = [Path(shutil.copyfile(path, copy / f"{i:04d}")) for i, path in enumerate(files[one])]
        MUTATIONS[kind](copies, files[other], rng)
        return judge_study(pipeline, copy, right[one])

    return in_turns(list(MUTATIONS), work, attempt, count=count, seed=seed, on_outcome=on_outcome)


def predicted(pipeline: Pipeline, folder: Path) -> list[Prediction]:
    """Of each case in a folder."""
    return [pipeline.predict(case.read(pipeline.perfusion)) for case in find_cases(folder)]


def judge_study(pipeline: Pipeline, folder: Path, right: Prediction) -> Outcome:
    """What came of a folder that was spoiled, beside what it gave before."""
    try:
        found = predicted(pipeline, folder)
    except CtpdeployError as error:
        return Outcome(verdict="refused", words=str(error))
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        return Outcome(verdict="CRASHED", words=f"{type(error).__name__}: {error}")
    if len(found) != 1:
        return Outcome(verdict="said", words=f"{len(found)} cases")
    return compare(found[0], right)
