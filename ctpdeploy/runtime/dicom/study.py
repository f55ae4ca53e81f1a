"""Study: the series found among some files, what each is, and those that are taken for CT perfusion."""

import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.header import File, Header, read_header
from ctpdeploy.runtime.dicom.kinds import CT_PERFUSION, Verdict, judge
from ctpdeploy.runtime.dicom.series import Series, group_series, join_phases
from ctpdeploy.runtime.dicom.tags import Tag

__all__ = ["ARCHIVE", "Study", "Survey", "Unread", "find_studies", "read_headers", "survey"]

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

    def of_name(self, named: str) -> list[Series]:
        """The series of a UID, or else of a number."""
        return [one for one in self.series if named in one.uids] or [one for one in self.series if named == one.number]


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A file that is one of DICOM's, or may be, and cannot be read.

    Attributes:
        file: the file; an archive that cannot be opened itself.
        because: why, a sentence that names it.
        empty: whether nothing is in it, as in one that never arrived, or in a mark of somebody's.
    """

    file: File
    because: str
    empty: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What some files hold of DICOM.

    Attributes:
        studies: in the order of their UIDs.
        unread: files that could not be read.
        passed_over: number of files by the words that say why they were.
    """

    studies: tuple[Study, ...]
    unread: tuple[Unread, ...]
    passed_over: Mapping[str, int]


def find_studies(files: Iterable[Path]) -> list[Study]:
    """The studies among files, archives opened, in the order of their UIDs.

    Args:
        files: of any kind; what is none of DICOM's is passed over.
    """
    return list(survey(files).studies)


def survey(files: Iterable[Path]) -> Survey:
    """The studies among files as :func:`find_studies`, with what was not read of the files."""
    passed_over: Counter[str] = Counter()
    members, unread = _members(files, passed_over)
    headers, unread_members = read_headers(members, passed_over)
    unread += unread_members
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
                unreadable=tuple(one.because for one in unread),
            )
        )
    return Survey(studies=tuple(studies), unread=tuple(unread), passed_over=passed_over)


def read_headers(files: Sequence[File], passed_over: Counter[str]) -> tuple[list[Header], list[Unread]]:
    """Headers of the files that are DICOM's, in their order, and those that cannot be read; the others are counted."""
    headers, unread = list[Header](), list[Unread]()

    def read(batch: Sequence[File]) -> list[Header | Unread | None]:
        found: list[Header | Unread | None] = []
        for file in batch:
            try:
                found.append(read_header(file) or _empty(file))
            except InputError as error:
                found.append(Unread(file=file, because=str(error)))
        return found

    step = 64
    with ThreadPoolExecutor(2) as pool:
        for batch in pool.map(read, (files[start : start + step] for start in range(0, len(files), step))):
            for header in batch:
                if isinstance(header, Unread):
                    unread.append(header)
                elif header is None:
                    passed_over["no file of DICOM"] += 1
                elif header.values and _is_object(header):
                    headers.append(header)
                else:
                    passed_over["of no series, as a DICOMDIR"] += 1
    return headers, unread


def _is_object(header: Header) -> bool:
    return bool(header.text(Tag.SERIES)) and header.text(Tag.SOP_CLASS) != _DIRECTORY


def _empty(file: File) -> Unread | None:
    """A file in which nothing is; None of another."""
    size = file.stat().st_size if isinstance(file, Path) else file.root.getinfo(file.at).file_size
    return Unread(file=file, because=f"{file} is empty: send it again.", empty=True) if size == 0 else None


def _members(files: Iterable[Path], passed_over: Counter[str]) -> tuple[list[File], list[Unread]]:
    """The files, those in archives in the place of the archive, and archives that cannot be opened."""
    found, unread = list[File](), list[Unread]()
    for path in files:
        try:
            inside: Sequence[File] = _in_archive(path) if path.suffix.lower() == ARCHIVE else [path]
        except (OSError, zipfile.BadZipFile) as error:
            unread.append(Unread(file=path, because=f"{path} is no whole archive ({error}): send it again."))
            continue
        for file in inside:
            ending = Path(file.name).suffix.lower()
            if ending == ARCHIVE:
                unread.append(Unread(file=file, because=f"{file} is an archive in an archive: unpack it."))
            elif ending in _NOT_DICOM:
                passed_over["the ending of another format"] += 1
            else:
                found.append(file)
    return found, unread


def _in_archive(path: Path) -> list[File]:
    """The files in an archive, without hidden ones.

    Raises:
        OSError: it cannot be opened.
        zipfile.BadZipFile: it is none, or not whole.
    """
    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if not name.endswith("/") and Path(name).name[0] != "."]
    return [zipfile.Path(archive, name) for name in names]
