"""Layouts: how data sets lie on disk, and what those of NIfTI files have in common."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.nifti_case import TENTHS, read_nifti_case

__all__ = ["GIVEN", "SUFFIXES", "Layout", "case_name", "case_of_files", "nifti_cases", "walk"]

GIVEN: Final = "files"
"""In the place of a layout for a case given by its files, wherever they lie."""

SUFFIXES: Final = (".nii", ".nii.gz")
"""Of NIfTI files."""


class Layout(Protocol):
    """The layout of a data set on disk; a module or an object for each.

    Contract:
        * ``find`` is given every file under a folder, once, and returns a reference for each case among them;
        * names of files are enough for most layouts; one may open files where they are not;
        * files that make no case, such as two series, give a reference with a ``fault``: it is refused when its turn
          comes, and stops no other case;
        * a file that is of no case is left alone;
        * a reader takes the ``frame_interval`` of its reference, where there is one, for that of the files;
        * it reads no maps where ``maps`` of its reference is ``"computed"``.

    Attributes:
        EXAMPLE: name of a series, for the sentence on a folder without cases.
        CALLED: names of ``"dwi"`` and ``"lesion"`` in the data set, for the sentence on cases without them.
    """

    EXAMPLE: str
    CALLED: Mapping[str, str]

    def find(self, files: Sequence[Path], root: Path) -> list[CaseRef]:
        """The cases among the files found under ``root``, in any order."""
        ...


def walk(folder: Path, unreadable: list[OSError] | None = None) -> list[Path]:
    """All files under a folder, links followed, sorted, without hidden ones: unfinished, or left by macOS.

    A folder is searched once, however many links lead to it, and under its own name where it lies under ``folder``: so
    no links lead round, or to one patient twice.

    Args:
        folder: to be searched.
        unreadable: is given the error of each folder that cannot be listed; without it they are passed over.
    """
    found: list[Path] = []
    links = _Links(folder)
    for parent, folders, files in os.walk(
        folder, followlinks=True, onerror=None if unreadable is None else unreadable.append
    ):
        inside = [Path(parent, name) for name in sorted(folders) if not name.startswith(".")]
        folders[:] = [path.name for path in inside if not path.is_symlink() or links.follow(path)]
        found += [Path(parent) / name for name in files if not name.startswith(".")]
    return sorted(found)


class _Links:
    """The links to folders under a root, each target of which is worth one visit."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._followed = set[Path]()

    def follow(self, link: Path) -> bool:
        """Whether its target is not searched anyway: it was before, or is on the way to the link, above or below it."""
        target = link.resolve()
        if target in self._followed:
            return False
        for depth in range(len(link.relative_to(self._root).parts)):
            way = link.parents[depth].resolve()
            hidden = target.is_relative_to(way) and any(name[0] == "." for name in target.relative_to(way).parts)
            if way.is_relative_to(target) or (target.is_relative_to(way) and not hidden):
                return False
        self._followed.add(target)
        return True


def case_name(folder: Path) -> str:
    """The name of the case in ``folder``: that of the folder, or of the link to it."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  Path.resolve would follow links


def nifti_cases(
    layout: str,
    files: Sequence[Path],
    root: Path,
    *,
    case_folders: Callable[[Sequence[Path], Path], set[Path]],
    parts: Callable[[Sequence[Path]], Iterable[tuple[str, Path]]],
    integer_unit: float,
) -> list[CaseRef]:
    """References to the cases of a layout of NIfTI files with a folder for each case.

    Args:
        layout: its name.
        files: all files under ``root``.
        root: where they were found.
        case_folders: the folders of the cases among some volumes: each holds a series.
        parts: function from the volumes of one case to its parts, each with its file.
        integer_unit: as for :func:`ctpdeploy.runtime.io.nifti_case.read_nifti_case`.
    """
    volumes = [path for path in files if path.name.endswith(SUFFIXES)]
    folders = case_folders(volumes, root)
    inside: dict[Path, list[Path]] = {folder: [] for folder in folders}
    for path in volumes:
        for parent in path.parents:
            if parent in inside:
                inside[parent].append(path)
    for folder in folders:
        if not folder.is_relative_to(root):  # the folder given is a part of a case: what lies beside it belongs to it
            inside[folder] = [path for path in walk(folder) if path.name.endswith(SUFFIXES)]
    return [
        _reference(layout, folder, parts(held), partial(_read, integer_unit=integer_unit))
        for folder, held in inside.items()
    ]


def _reference(layout: str, folder: Path, parts: Iterable[tuple[str, Path]], reader: Callable[..., Any]) -> CaseRef:
    files: dict[str, Path] = {}
    fault = ""
    for part, path in parts:
        if files.setdefault(part, path) is not path and not fault:
            fault = f"{folder} holds two {part.upper()} files, {files[part].name} and {path.name}: remove one."
    return CaseRef(name=case_name(folder), layout=layout, folder=folder, files=files, reader=reader, fault=fault)


def _read(case: CaseRef, *, integer_unit: float) -> Case:
    return read_nifti_case(
        case.name,
        case.files,
        integer_unit=integer_unit,
        maps=case.maps,
        perfusion=case.perfusion,
        frame_interval=case.frame_interval,
    )


def case_of_files(name: str, files: Mapping[str, Path]) -> CaseRef:
    """A case given by its files, wherever they lie.

    Args:
        name: of the case.
        files: by what they hold; integers of ``cbf`` and ``cbv`` are tenths.
    """
    folder = next(iter(files.values())).parent
    return CaseRef(name=name, layout=GIVEN, folder=folder, files=files, reader=partial(_read, integer_unit=TENTHS))
