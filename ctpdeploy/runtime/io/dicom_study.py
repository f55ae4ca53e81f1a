"""DICOM studies as a layout: each CT perfusion scan among some files is a case."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.dicom.choice import Scan, choose_scans
from ctpdeploy.runtime.dicom.header import File
from ctpdeploy.runtime.dicom.map_choice import choose_maps
from ctpdeploy.runtime.dicom.study import ARCHIVE, Study, Unread, survey
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
        series: UID or number of the series to take in every study; empty for what each shows to be CT perfusion.
    """

    EXAMPLE = "the images of a study"
    CALLED: Mapping[str, str] = MappingProxyType({"dwi": "DWI in a NIfTI file", "lesion": "lesion in a NIfTI file"})

    def __init__(self, series: str = "") -> None:
        self._series = series

    def find(self, files: Sequence[Path], root: Path) -> list[CaseRef]:
        """One case a scan.

        A study without one, a folder of none that has damaged files of DICOM, and an archive that cannot be read are
        cases at fault, unless they lie beside NIfTI files. On files that cannot be read beside a scan there is a
        finding.
        """
        marks = marks_of(files)  # before any is opened
        surveyed = survey(path for path in files if path in marks or not path.exists())
        studies = list(surveyed.studies)
        places = _places(studies, root)
        if self._series:
            studies = [study for study in studies if study.of_name(self._series)] or studies
        other = [path for path in files if path.name.endswith(SUFFIXES)]
        beside = {parent for path in other for parent in path.parents}
        unread = _by_holder(surveyed.unread)
        cases = []
        for study in studies:
            folder, name = places[study.uid]
            refer = partial(CaseRef, layout=NAME, folder=folder, files={"ctp": folder})
            inside = {path: mark for path, mark in marks.items() if path.is_relative_to(folder)}
            try:
                scans = choose_scans(study, self._series)
            except InputError as error:
                if study.perfusion or folder not in beside:
                    fault = f"{folder}: {error}"
                    cases.append(refer(name=name, reader=no_case, fault=fault, has_scan=bool(study.perfusion)))
                continue
            scans = [replace(scan, findings=(*scan.findings, *_unread_in(folder, unread))) for scan in scans]
            names = [name] if len(scans) == 1 else [f"{name}-{number}" for number in range(1, len(scans) + 1)]
            cases += [
                refer(
                    name=each,
                    reader=partial(_read, study=study, scans=scans, number=number),
                    found=FoundFiles(place=folder, marks=inside, study=study.uid, series=scans[number].series.uids),
                )
                for number, each in enumerate(names)
            ]
        covering = {place for place, _ in places.values()}
        for holder, those in unread.items():
            alone = holder not in covering if _is_archive(holder) else covering.isdisjoint((holder, *holder.parents))
            if alone and not beside.intersection((holder, holder.parent)) and not all(one.empty for one in those):
                name = _name(holder) if _name(holder) not in {case.name for case in cases} else holder.name
                fault = _sentence(those)
                refused = CaseRef(name=name, layout=NAME, folder=holder, files={}, reader=no_case, fault=fault)
                cases.append(refused)
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


def _by_holder(unread: Sequence[Unread]) -> Mapping[Path, list[Unread]]:
    """Files that were not read by the folder or the archive that they lie in; an archive by itself."""
    found: dict[Path, list[Unread]] = {}
    for one in unread:
        archive = isinstance(one.file, Path) and one.file.suffix.lower() == ARCHIVE
        found.setdefault(_on_disk(one.file) if archive else _holder(one.file), []).append(one)
    return found


def _unread_in(place: Path, unread: Mapping[Path, list[Unread]]) -> Iterator[Finding]:
    """What is to be said of files that were not read beside the images of a study."""
    for holder, those in unread.items():
        if holder == place or (place in holder.parents and not _is_archive(holder)):
            sentence = _sentence(those).replace(f"{holder}{os.sep}", "")
            yield finding("files-unreadable", f"Beside the images of the study, a file cannot be used: {sentence}")


def _sentence(unread: Sequence[Unread]) -> str:
    more = f" There are {len(unread) - 1} more." if len(unread) > 1 else ""
    return unread[0].because + more


def _is_archive(place: Path) -> bool:
    return place.suffix.lower() == ARCHIVE and place.is_file()


def _name(place: Path) -> str:
    return case_name(place.with_suffix("") if _is_archive(place) else place)


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
        name = _name(place)
        if place in others:
            name = f"{name}-{hashlib.sha256(study.uid.encode()).hexdigest()[:8]}"
        found[study.uid] = place, name
    return found


def _is_part(place: Path) -> bool:
    return _PARTS.fullmatch(place.name) is not None
