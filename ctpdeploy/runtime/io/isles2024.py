"""ISLES 2024 on disk: which files make a case, and what each holds.

::

    raw_data/sub-stroke0001/ses-01/sub-stroke0001_ses-01_ctp.nii.gz
                                   perfusion-maps/sub-stroke0001_ses-01_{cbf,cbv,mtt,tmax}.nii.gz
                            ses-02/sub-stroke0001_ses-02_dwi.nii.gz                     on a grid of its own
    derivatives/sub-stroke0001/ses-01/sub-stroke0001_ses-01_space-ncct_ctp.nii.gz
                                      perfusion-maps/sub-stroke0001_ses-01_space-ncct_{cbf,cbv,mtt,tmax}.nii.gz
                               ses-02/sub-stroke0001_ses-02_space-ncct_{dwi,lesion-msk}.nii.gz

A case is the folder of a subject. In ``derivatives`` everything lies on the grid of the plain CT: such a case can be
trained on and evaluated. In ``raw_data`` series and maps lie on the grid of the scanner, without a lesion: such a case
can be inferred. Lesion and DWI are not brought from one grid to the other by their affines, because these do not
align CTP with plain CT well enough. Releases differ in ``rawdata``, ``sub-strokecase0001``, ``ses-0001`` and in whether
``lesion-msk`` has ``space-ncct``; only the file names are read.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.layout import nifti_cases

__all__ = ["CALLED", "EXAMPLE", "NAME", "find"]

NAME: Final = "ISLES 2024"
EXAMPLE: str = "sub-stroke0001_ses-01_space-ncct_ctp.nii.gz"
CALLED: Mapping[str, str] = {"dwi": "space-ncct_dwi", "lesion": "lesion-msk"}

_NAME = re.compile(
    r"sub-[0-9a-z]+(?:_ses-\d+)?(?P<ncct>_space-ncct)?_(?P<part>ctp|cbf|cbv|mtt|tmax|dwi|lesion-msk)\.nii(?:\.gz)?",
    re.IGNORECASE,
)
_SESSION = re.compile(r"ses-\d+", re.IGNORECASE)


class _File(NamedTuple):
    part: str
    in_ncct: bool
    path: Path


def find(files: Sequence[Path], root: Path) -> list[CaseRef]:
    """The cases of this layout, as :class:`ctpdeploy.runtime.io.layout.Layout` has it; no file is opened."""
    return nifti_cases(NAME, files, root, case_folders=_case_folders, parts=_parts, integer_unit=1.0)


def _case_folders(volumes: Sequence[Path], root: Path) -> set[Path]:
    """The folders of the cases among some files: each holds a series.

    A subject that has a series in ``derivatives`` is not listed again for the one in ``raw_data`` beside it.
    """
    del root  # a session's folder is never the case, even where it is the one that is searched
    series = [file for file in _files(volumes) if file.part == "ctp"]
    derived = {_case_folder(file.path) for file in series if file.in_ncct}
    subjects = {(folder.name, folder.parent.parent) for folder in derived}
    raw = {_case_folder(file.path) for file in series if not file.in_ncct}
    return derived | {folder for folder in raw if (folder.name, folder.parent.parent) not in subjects}


def _parts(volumes: Sequence[Path]) -> list[tuple[str, Path]]:
    """Part of the case that each file holds: the set in NCCT space where its series is there, else that as scanned."""
    files = list(_files(volumes))
    in_ncct = any(file.part == "ctp" and file.in_ncct for file in files)
    kept = [file for file in files if _belongs(file, in_ncct)]
    named = {file.part for file in kept if file.in_ncct == in_ncct}  # a lesion named otherwise is no second one
    return [(file.part, file.path) for file in kept if file.in_ncct == in_ncct or file.part not in named]


def _belongs(file: _File, in_ncct: bool) -> bool:
    """Whether a file is of the set in NCCT space, or of the set as scanned."""
    # whoever puts a lesion or a registered DWI beside the series as scanned gets an error when their grids are compared
    if file.part == "lesion":  # drawn in NCCT space, whether its name has that or not
        return True
    if file.part == "dwi":  # as scanned it lies on the grid of the MR scanner
        return file.in_ncct
    return file.in_ncct == in_ncct


def _files(volumes: Iterable[Path]) -> Iterator[_File]:
    for path in volumes:
        if name := _NAME.fullmatch(path.name):
            part = name["part"].lower().removesuffix("-msk")
            yield _File(part=part, in_ncct=name["ncct"] is not None, path=path)


def _case_folder(series: Path) -> Path:
    """The folder of the subject: above that of the session, else the file's own."""
    own = series.parent if series.parent.name else Path(os.path.abspath(series.parent))  # noqa: PTH100  links stay
    return own.parent if _SESSION.fullmatch(own.name) else own
