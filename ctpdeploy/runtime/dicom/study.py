"""Study: the series found among some files, what each is, and those that are taken for CT perfusion."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.header import File, Header, read_header
from ctpdeploy.runtime.dicom.kinds import CT_PERFUSION, Verdict, judge
from ctpdeploy.runtime.dicom.series import Series, group_series, join_phases
from ctpdeploy.runtime.dicom.tags import Tag

__all__ = ["ARCHIVE", "Study", "find_studies", "read_headers"]

ARCHIVE: Final = ".zip"
"""Ending of files that are opened for those in them."""

_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""Class of a DICOMDIR, which lists files that are found without it."""

_NOT_DICOM: Final = frozenset({".gz", ".nii", ".json", ".png", ".jpg", ".txt", ".csv", ".xml", ".html", ".pdf"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """A study.

    Attributes:
        uid: Study Instance UID.
        series: all of it, in the order of their numbers; those that are phases of one scan are one.
        verdicts: on each.
        unreadable: sentences on files that no series is known of.
    """

    uid: str
    series: tuple[Series, ...]
    verdicts: tuple[Verdict, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def perfusion(self) -> list[Series]:
        """The series that are CT perfusion by their kind."""
        pairs = zip(self.series, self.verdicts, strict=True)
        return [series for series, verdict in pairs if verdict.kind == CT_PERFUSION]


def find_studies(files: Iterable[Path]) -> list[Study]:
    """The studies among files, archives opened, in the order of their UIDs.

    Args:
        files: of any kind; what is none of DICOM's is passed over.
    """
    headers, unreadable = read_headers(_members(files))
    by_study: dict[str, list[Series]] = {}
    for series in group_series(headers):
        by_study.setdefault(series.study, []).append(series)
    studies = []
    for uid, found in sorted(by_study.items()):
        joined = join_phases(found)
        studies.append(
            Study(
                uid=uid,
                series=tuple(joined),
                verdicts=tuple(map(judge, joined)),
                unreadable=tuple(unreadable),
            )
        )
    return studies


def read_headers(files: Sequence[File]) -> tuple[list[Header], list[str]]:
    """Headers of the files that are DICOM's, in their order, and a sentence on each that cannot be read."""
    headers, unreadable = [], []

    def read(batch: Sequence[File]) -> list[Header | str | None]:
        found: list[Header | str | None] = []
        for file in batch:
            try:
                found.append(read_header(file))
            except InputError as error:
                found.append(str(error))
        return found

    step = 64
    with ThreadPoolExecutor(2) as pool:
        for batch in pool.map(read, (files[start : start + step] for start in range(0, len(files), step))):
            for header in batch:
                if isinstance(header, str):
                    unreadable.append(header)
                elif header is not None and header.values and _is_object(header):
                    headers.append(header)
    return headers, unreadable


def _is_object(header: Header) -> bool:
    return bool(header.text(Tag.SERIES)) and header.text(Tag.SOP_CLASS) != _DIRECTORY


def _members(files: Iterable[Path]) -> list[File]:
    """The files, those in archives in the place of the archive."""
    found: list[File] = []
    for path in files:
        if path.suffix.lower() == ARCHIVE:
            found += _in_archive(path)
        elif path.suffix.lower() not in _NOT_DICOM:
            found.append(path)
    return found


def _in_archive(path: Path) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile):
        return
    for name in archive.namelist():
        if not name.endswith("/") and not Path(name).name.startswith("."):
            yield zipfile.Path(archive, name)
