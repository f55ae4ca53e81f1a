"""DICOM studies as a layout: each CT perfusion scan among some files is a case."""

import hashlib
import os
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
from ctpdeploy.runtime.dicom.study import Study, find_studies
from ctpdeploy.runtime.io.case_ref import CaseRef, no_case
from ctpdeploy.runtime.io.dicom_case import read_dicom_case
from ctpdeploy.runtime.io.layout import SUFFIXES, case_name

__all__ = ["NAME", "DicomStudies"]

NAME: Final = "DICOM"


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
        studies = find_studies(files)
        folders = _folders(studies, root)
        if self._series:
            studies = [study for study in studies if any(self._series in one.uids for one in study.series)] or studies
        other = [path for path in files if path.name.endswith(SUFFIXES)]
        beside = {parent for path in other for parent in path.parents}
        cases = []
        for study in studies:
            folder, name = folders[study.uid]
            refer = partial(CaseRef, layout=NAME, folder=folder, files={"ctp": folder})
            try:
                scans = choose_scans(study, self._series)
            except InputError as error:
                if study.perfusion or folder not in beside:
                    cases.append(refer(name=name, reader=no_case, fault=f"{folder}: {error}"))
                continue
            names = [name] if len(scans) == 1 else [f"{name}-{number}" for number in range(1, len(scans) + 1)]
            cases += [
                refer(name=each, reader=partial(_read, study=study, scans=scans, number=number))
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


def _folders(studies: Sequence[Study], root: Path) -> Mapping[str, tuple[Path, str]]:
    """The highest folder of each study that holds no other, and a name for its results.

    A folder of its own gives a study its name; of those that share one, each is called by the folder and a digest of
    its UID, which nobody can be known by.
    """
    held = {study.uid: {_on_disk(file) for one in study.series for file in one.files} for study in studies}
    found = {}
    for study in studies:
        others = {
            parent for uid, paths in held.items() if uid != study.uid for path in paths for parent in path.parents
        }
        folder = Path(os.path.commonpath([str(path.parent) for path in held[study.uid]]))
        while folder != root and root in folder.parents and folder.parent not in others:
            folder = folder.parent
        name = case_name(folder)
        if folder in others:
            name = f"{name}-{hashlib.sha256(study.uid.encode()).hexdigest()[:8]}"
        found[study.uid] = folder, name
    return found
