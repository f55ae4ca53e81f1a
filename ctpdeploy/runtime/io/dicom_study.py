"""DICOM studies as a layout: each CT perfusion scan among some files is a case."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.dicom.choice import Scan, choose_scans
from ctpdeploy.runtime.dicom.header import File
from ctpdeploy.runtime.dicom.map_choice import choose_maps
from ctpdeploy.runtime.dicom.study import ARCHIVE, Study, find_studies
from ctpdeploy.runtime.io.case_ref import CaseRef, no_case
from ctpdeploy.runtime.io.dicom_case import read_dicom_case
from ctpdeploy.runtime.io.found_files import FoundFiles, marks_of
from ctpdeploy.runtime.io.layout import SUFFIXES, case_name

__all__ = ["NAME", "DicomStudies"]

NAME: Final = "DICOM"

_PARTS: Final = re.compile(r"(dicom|dicomdat|images?|study|(s|se|ser|series)[-_ ]?\d+)", re.IGNORECASE)
"""Names of folders in a study, by which nobody knows it."""


class DicomStudies:
    """The layout.

    Args:
        series: UID of the series to take in every study; empty for what each shows to be CT perfusion.
    """

    EXAMPLE = "the images of a study"
    CALLED: Mapping[str, str] = MappingProxyType({"dwi": "DWI in a NIfTI file", "lesion": "lesion in a NIfTI file"})

    def __init__(self, series: str = "") -> None:
        self._series = series

    def find(self, files: Sequence[Path], root: Path) -> list[CaseRef]:
        """One case a scan; a study without one is a case at fault, unless it lies beside NIfTI files."""
        marks = marks_of(files)  # before any is opened
        studies = find_studies(files)
        places = _places(studies, root)
        if self._series:
            studies = [study for study in studies if any(self._series in one.uids for one in study.series)] or studies
        other = [path for path in files if path.name.endswith(SUFFIXES)]
        beside = {parent for path in other for parent in path.parents}
        cases = []
        for study in studies:
            folder, name = places[study.uid]
            refer = partial(CaseRef, layout=NAME, folder=folder, files={"ctp": folder})
            inside = {path: mark for path, mark in marks.items() if path.is_relative_to(folder)}
            try:
                scans = choose_scans(study, self._series)
            except InputError as error:
                if study.perfusion or folder not in beside:
                    cases.append(refer(name=name, reader=no_case, fault=f"{folder}: {error}"))
                continue
            names = [name] if len(scans) == 1 else [f"{name}-{number}" for number in range(1, len(scans) + 1)]
            cases += [
                refer(
                    name=each,
                    reader=partial(_read, study=study, scans=scans, number=number),
                    found=FoundFiles(place=folder, marks=inside, study=study.uid, series=scans[number].series.uids),
                )
                for number, each in enumerate(names)
            ]
        return cases


def _read(case: CaseRef, *, study: Study, scans: Sequence[Scan], number: int) -> Case:
    return read_dicom_case(
        case.name,
        scans[number],
        called=str(case.folder),
        maps=choose_maps(study, scans)[number] if case.maps == "given" else None,
        frame_interval=case.frame_interval,
        perfusion=case.perfusion,
    )


def _on_disk(file: File) -> Path:
    """The file, or the archive that it lies in."""
    return file if isinstance(file, Path) else Path(str(file.root.filename))


def _holder(file: File) -> Path:
    """What the file lies in, a folder or an archive."""
    return file.parent if isinstance(file, Path) else _on_disk(file)


def _places(studies: Sequence[Study], root: Path) -> Mapping[str, tuple[Path, str]]:
    """The highest place below ``root`` of each study that holds no other, and a name for its results.

    The place is a folder or an archive and gives the study its name, whatever else lies under ``root``. Where it is
    called as media and exports call the folders in a study, and nothing else is in ``root``, that is the place. Of
    those that share one, each is called by the place and a digest of its UID, which nobody can be known by.
    """
    held = {study.uid: {_holder(file) for one in study.series for file in one.files} for study in studies}
    found = {}
    for study in studies:
        other = {one for uid, holders in held.items() if uid != study.uid for one in holders}
        others = other.union(*(one.parents for one in other))
        place = Path(os.path.commonpath(held[study.uid]))
        while root in place.parents and place.parent not in others and (place.parent != root or _is_part(place)):
            place = place.parent
        name = case_name(place.with_suffix("") if place.suffix.lower() == ARCHIVE and place.is_file() else place)
        if place in others:
            name = f"{name}-{hashlib.sha256(study.uid.encode()).hexdigest()[:8]}"
        found[study.uid] = place, name
    return found


def _is_part(place: Path) -> bool:
    return _PARTS.fullmatch(place.name) is not None
