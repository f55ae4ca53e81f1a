"""What goes wrong with the maps of a study: their scales, units, codes, words, places and pixels, and whose they are.

A study has one series of CT perfusion and its maps in the style of a maker. A mutation changes the files of one map or
of all in place; an element is changed wherever it stands, in functional groups too.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from campaign.campaign import Counts, OnOutcome, in_turns, pair
from campaign.judge import Outcome
from campaign.studies import judge_study, predicted
from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.runtime import Pipeline

Files = list[Path]
Mutation = Callable[[Files, Files, np.random.Generator], None]

STYLES = ("one-series", "ge-maps", "siemens-maps", "canon-maps", "philips-maps", "uih-maps", "enhanced")
SLICES, FRAMES = 4, 24
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def nested(data: Dataset) -> Iterator[Dataset]:
    """An object and all items of sequences in it."""
    yield data
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                yield from nested(item)


def edited(paths: Files, change: Callable[[Dataset], None]) -> None:
    """Files with their contents changed."""
    for path in paths:
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path)  # a value that cannot be written is a mistake here


def scope(files: Files, rng: np.random.Generator) -> Files:
    """One file, the files of one map, or all."""
    kind = rng.choice(["one", "map", "all"])
    if kind == "one":
        return [files[int(rng.integers(len(files)))]]
    maps = max(len(files) // SLICES, 1) if len(files) > 4 else len(files)
    each = len(files) // maps
    start = each * int(rng.integers(maps))
    return files[start : start + each] if kind == "map" else files


def with_value(keyword: str, *values: Any) -> Mutation:
    """An element that says something else wherever it stands; a function of what it says, or a value."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        value = values[int(rng.integers(len(values)))]

        def change(data: Dataset) -> None:
            for item in nested(data):
                if keyword in item:
                    setattr(item, keyword, value(item[keyword].value) if callable(value) else value)

        edited(scope(files, rng), change)

    return mutate


def added(tag: int, kind: str, *values: Any) -> Mutation:
    """An element of the object itself, there or not before."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        value = values[int(rng.integers(len(values)))]
        edited(scope(files, rng), lambda data: data.add_new(tag, kind, value))

    return mutate


def without(*keywords: str) -> Mutation:
    """Elements that are not there, wherever they stood."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        def change(data: Dataset) -> None:
            for item in list(nested(data)):
                for keyword in keywords:
                    if keyword in item:
                        delattr(item, keyword)

        edited(scope(files, rng), change)

    return mutate


def coded(sequence: str, *values: str) -> Mutation:
    """Another code in a sequence."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        value = values[int(rng.integers(len(values)))]

        def change(data: Dataset) -> None:
            for item in nested(data):
                for code in item.get(sequence, ()):
                    code.CodeValue = value

        edited(scope(files, rng), change)

    return mutate


def times(keyword: str, *factors: float) -> Mutation:
    """A number that is wrong by what units are wrong by."""
    return with_value(keyword, *(lambda value, factor=factor: float(value) * factor for factor in factors))


def in_pixels(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Mutation:
    """Other pixels, the images of a file ``(frames, rows, columns)`` at once."""

    def mutate(files: Files, _: Files, rng: np.random.Generator) -> None:
        def edit(data: Dataset) -> None:
            (name,) = (name for name in PIXELS if name in data)
            stored = data.pixel_array
            images = change(stored.reshape(-1, *stored.shape[-2:]), rng)
            setattr(data, name, np.ascontiguousarray(images).astype(stored.dtype).tobytes())

        edited(scope(files, rng), edit)

    return mutate


def lost(files: Files, _: Files, rng: np.random.Generator) -> None:
    """Files that never came, not all of them: nobody could know that there were maps."""
    for path in scope(files, rng)[: max(1, len(files) // 2)]:
        if len(files) > 1:
            path.unlink()


def doubled(files: Files, _: Files, rng: np.random.Generator) -> None:
    for path in scope(files, rng):
        shutil.copyfile(path, path.with_name(f"{path.name}again"))


def sent_again(files: Files, _: Files, rng: np.random.Generator) -> None:
    """The same images under other UIDs, in their series or another one."""
    series = generate_uid() if rng.integers(2) else ""
    for path in scope(files, rng):
        other = Path(shutil.copyfile(path, path.with_name(f"{path.name}again")))

        def change(data: Dataset) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            data.SeriesInstanceUID = series or data.SeriesInstanceUID

        edited([other], change)


def anothers(files: Files, others: Files, rng: np.random.Generator) -> None:
    """Another patient's files in the place of some."""
    keep = bool(rng.integers(2))
    of_study = pydicom.dcmread(files[0], stop_before_pixels=True)
    places = {path: i for i, path in enumerate(files)}
    for path in scope(files, rng):
        shutil.copyfile(others[places[path]], path)
        if keep:

            def change(data: Dataset) -> None:
                data.StudyInstanceUID, data.PatientID = of_study.StudyInstanceUID, of_study.PatientID
                data.FrameOfReferenceUID = of_study.FrameOfReferenceUID

            edited([path], change)


def headers_swapped(files: Files, _: Files, rng: np.random.Generator) -> None:
    """The pixels of one map under the header of another."""
    one, other = rng.choice(4, 2, replace=False)
    count = len(files) // 4
    if not count:
        return
    for k in range(count):
        first, second = (pydicom.dcmread(files[int(i) * count + k]) for i in (one, other))
        for name in PIXELS:
            if name in first and name in second:
                mine, theirs = first[name].value, second[name].value
                first[name].value, second[name].value = theirs, mine
        first.save_as(files[int(one) * count + k])
        second.save_as(files[int(other) * count + k])


def cut(files: Files, _: Files, rng: np.random.Generator) -> None:
    for path in scope(files, rng):
        content = path.read_bytes()
        path.write_bytes(content[: int(rng.integers(len(content)))])


def garbled(files: Files, _: Files, rng: np.random.Generator) -> None:
    """A few bytes of a header; an only file may not be known for DICOM any more, and is left alone."""
    for path in scope(files, rng) if len(files) > 1 else ():
        content = bytearray(path.read_bytes())
        for place in rng.integers(132, min(len(content), 3000), 3):
            content[int(place)] = int(rng.integers(256))
        path.write_bytes(content)


def moved(x: float, y: float, z: float) -> Callable[[Sequence[float]], list[float]]:
    return lambda position: [float(at) + by for at, by in zip(position, (x, y, z), strict=True)]


def upside_down(files: Files, _: Files, rng: np.random.Generator) -> None:
    """Slices that state each other's places."""

    def change(data: Dataset) -> None:
        for item in nested(data):
            if "ImagePositionPatient" in item:
                x, y, z = map(float, item.ImagePositionPatient)
                item.ImagePositionPatient = [x, y, -40.0 + 3 * 5.16594 - z]

    edited(scope(files, rng), change)


QUANTITIES = ("113055", "113056", "113052", "113084", "113069", "126397", "126398", "999999", "")
UNITS = ("ms", "1", "%", "", "HU", "ml", "[arb'U]")
LABELS = ("CBF", "CBV", "MTT", "TMAX", "TTP", "", "rCBF", "CBF CBV", "ADC")

MUTATIONS: dict[str, Mutation] = {
    "files lost": lost,
    "files doubled": doubled,
    "files sent again": sent_again,
    "another's files": anothers,
    "headers swapped": headers_swapped,
    "files cut": cut,
    "headers garbled": garbled,
    "upside down": upside_down,
    "no mapping": without("RealWorldValueMappingSequence"),
    "no unit": without("MeasurementUnitsCodeSequence"),
    "no quantity": without("QuantityDefinitionSequence"),
    "no slope": without("RealWorldValueSlope"),
    "no intercept": without("RealWorldValueIntercept"),
    "no range": without(
        "RealWorldValueFirstValueMapped",
        "RealWorldValueLastValueMapped",
        "DoubleFloatRealWorldValueFirstValueMapped",
        "DoubleFloatRealWorldValueLastValueMapped",
    ),
    "no rescale": without("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "no rescale type": without("RescaleType"),
    "no position": without("ImagePositionPatient"),
    "no orientation": without("ImageOrientationPatient"),
    "no pixel spacing": without("PixelSpacing"),
    "no frame of reference": without("FrameOfReferenceUID"),
    "no image type": without("ImageType", "FrameType"),
    "no description": without("SeriesDescription"),
    "no label": without("LUTLabel", "LUTExplanation", "ContentLabel", "ContentDescription"),
    "no maker": without("Manufacturer"),
    "no modality": without("Modality"),
    "no rows": without("Rows"),
    "no bits": without("BitsStored", "HighBit"),
    "no sign": without("PixelRepresentation"),
    "no frames": without("PerFrameFunctionalGroupsSequence"),
    "no instance": without("SOPInstanceUID"),
    "slope by powers of ten": times("RealWorldValueSlope", 0.001, 0.01, 0.1, 10.0, 100.0, 1000.0),
    "rescale by powers of ten": times("RescaleSlope", 0.001, 0.01, 0.1, 10.0, 100.0, 1000.0),
    "slope of none": with_value("RealWorldValueSlope", 0.0, -0.01, float("nan"), float("inf")),
    "another intercept": with_value("RealWorldValueIntercept", -1e5, 1e6, float("nan")),
    "another rescale intercept": with_value("RescaleIntercept", "-1024", "1e6"),
    "another rescale type": with_value("RescaleType", "HU", "ms", "", "US", "PCT"),
    "another quantity": coded("ConceptCodeSequence", *QUANTITIES),
    "another unit": coded("MeasurementUnitsCodeSequence", *UNITS),
    "another label": with_value("LUTLabel", *LABELS),
    "another description": with_value(
        "SeriesDescription", *LABELS, "Tmax > 6 s", "CT PERFUSION", "x (research use only)"
    ),
    "another image type": with_value("ImageType", *(["DERIVED", "PRIMARY", "AXIAL", label or "X"] for label in LABELS)),
    "another frame type": with_value(
        "FrameType", *(["DERIVED", "PRIMARY", "VOLUME", label or "X"] for label in LABELS)
    ),
    "another range": with_value("RealWorldValueLastValueMapped", 0, 100, 4095),
    "another begin of range": with_value("RealWorldValueFirstValueMapped", 1, 100, 2000),
    "another position": with_value("ImagePositionPatient", moved(0, 0, 5), moved(20, 0, 0), [0, 0, 0], [1, 2]),
    "another orientation": with_value("ImageOrientationPatient", [-1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0] * 6),
    "another pixel spacing": with_value("PixelSpacing", [0.1, 0.1], [6.0, 6.0], [3.0, 4.5], [0, 0]),
    "another frame of reference": with_value("FrameOfReferenceUID", "1.2.3.4"),
    "another series": with_value("SeriesInstanceUID", "1.2.3.4"),
    "another study": with_value("StudyInstanceUID", "1.2.3.4"),
    "another patient's ID": with_value("PatientID", "4712", ""),
    "another maker": with_value("Manufacturer", "Other", ""),
    "another modality": with_value("Modality", "MR", "OT", "PT"),
    "another size": with_value("Rows", 32, 63, 65, 0),
    "another sign": with_value("PixelRepresentation", 0, 1, 2),
    "fewer bits": with_value("BitsStored", 8, 17),
    "another photometric": with_value("PhotometricInterpretation", "MONOCHROME1", "RGB", ""),
    "padding like tissue": added(0x00280120, "US", 0, 200, 400),
    "with loss": added(0x00282110, "CS", "01"),
    "burned in": added(0x00280301, "CS", "YES"),
    "mirrored": in_pixels(lambda images, _: images[..., ::-1]),
    "turned": in_pixels(lambda images, _: images[..., ::-1, ::-1]),
    "shifted": in_pixels(lambda images, _: np.roll(images, 8, axis=-1)),
    "slices reversed": in_pixels(lambda images, _: images[::-1]),
    "empty": in_pixels(lambda images, _: images * 0),
    "constant": in_pixels(lambda images, _: images * 0 + 100),
    "noise": in_pixels(lambda images, rng: rng.permuted(images, axis=-1)),
    "tenfold": in_pixels(lambda images, _: images * 10),
    "a tenth": in_pixels(lambda images, _: images // 10),
}


def write_map_studies(work: Path, count: int = 2) -> list[Path]:
    """Right studies with maps, in every style of each patient, patients one after the other."""
    folders = []
    for number in range(count):
        made = make_patient(np.random.SeedSequence((9, number)), PhantomConfig(size=64, slices=SLICES, frames=FRAMES))
        dz, dy, dx = made.spacing
        hu = np.rint(made.series[:, :, ::-1, ::-1]).astype(np.int16)
        affine = np.diag([-dx, -dy, dz, 1.0])
        affine[2, 3] = -20.0
        maps = {name: np.ascontiguousarray(values[:, ::-1, ::-1]) for name, values in made.maps.items()}
        for style in STYLES:
            folder = work / f"{style}_{number}"
            folders.append(folder)
            if not folder.exists():
                name, times = f"DOE^{number}", 1.75 * np.arange(FRAMES)
                write_study(folder, hu, times, affine, style, maps=maps, junk=False, name=name)
    return folders


def split(folder: Path) -> tuple[Files, Files]:
    """The files of a study that are of its scan, and those of its maps by their series and slices."""
    scan: Files = []
    maps: list[tuple[int, float, Path]] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = pydicom.dcmread(path, stop_before_pixels=True)
        if int(data.SeriesNumber) < 600:
            scan.append(path)
        else:
            maps.append((int(data.SeriesNumber), float(data.get("ImagePositionPatient", (0, 0, 0))[2]), path))
    return scan, [path for *_, path in sorted(maps)]


def run_study_maps(
    pipeline: Pipeline,
    studies: Sequence[Path],
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: OnOutcome = lambda *_: None,
) -> Counts:
    """Spoil and judge; as :func:`campaign.campaign.run`."""
    files = {folder: split(folder) for folder in studies}
    right = {folder: predicted(pipeline, folder)[0] for folder in studies}
    assert all("maps-of-study" in {found.code for found in one.findings} for one in right.values())

    def attempt(kind: str, copy: Path, rng: np.random.Generator) -> Outcome:
        style = STYLES[int(rng.integers(len(STYLES)))]
        one, other = pair([folder for folder in studies if folder.name.startswith(f"{style}_")], rng)
        (scan, maps), (_, others) = files[one], files[other]
        for i, path in enumerate(scan):
            shutil.copyfile(path, copy / f"s{i:04d}")
        copies = [Path(shutil.copyfile(path, copy / f"m{i:04d}")) for i, path in enumerate(maps)]
        MUTATIONS[kind](copies, others, rng)
        return judge_study(pipeline, copy, right[one])

    return in_turns(list(MUTATIONS), work, attempt, count=count, seed=seed, on_outcome=on_outcome)
