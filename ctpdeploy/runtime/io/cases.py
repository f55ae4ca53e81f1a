"""Cases on disk, whatever the layout: finding them, reading one, and what they hold by the names of their files."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.io import isles2018, isles2024
from ctpdeploy.runtime.io.nifti_case import read_nifti_case

__all__ = ["LAYOUTS", "Inventory", "Layout", "case_files", "case_name", "find_cases", "read_case", "take_inventory"]


class Layout(Protocol):
    """How a data set lies on disk; a module each. Layouts look at names alone and open no file.

    Attributes:
        EXAMPLE: name of a series.
        CALLED: what file names call ``"dwi"`` and ``"lesion"``.
        INTEGER_UNIT: what 1 stands for in integer CBF and CBV maps, in ml/100g/min and ml/100g.
    """

    EXAMPLE: str
    CALLED: dict[str, str]
    INTEGER_UNIT: float

    def case_folders(self, volumes: Iterable[Path], root: Path) -> set[Path]:
        """The folders of the cases among files found under ``root``: each holds a series."""
        ...

    def parts(self, volumes: Sequence[Path]) -> list[tuple[str, Path]]:
        """What the files of one case hold: ctp, cbf, cbv, mtt, tmax, dwi, lesion; others are left out."""
        ...


LAYOUTS: Final[dict[str, Layout]] = {"ISLES 2018": isles2018, "ISLES 2024": isles2024}

_SUFFIXES = (".nii", ".nii.gz")
_EXPECTED = " or ".join(f"{layout.EXAMPLE} ({name})" for name, layout in LAYOUTS.items())


def find_cases(folder: Path) -> list[Path]:
    """All case folders in ``folder``, at any depth, in natural order; ``[folder]`` if it is a case itself.

    Raises:
        InputError: the folder does not exist, or no case is in it.
    """
    volumes = _volumes(folder)
    cases = set().union(*(layout.case_folders(volumes, folder) for layout in LAYOUTS.values()))
    if not cases:
        raise InputError(f"No case in {folder}: a case holds a series named like {_EXPECTED}.")
    return sorted(cases, key=_natural)


def read_case(folder: Path) -> Case:
    """Read the case in ``folder``.

    Raises:
        InputError: as :func:`case_files` and :func:`ctpdeploy.runtime.io.nifti_case.read_nifti_case`.
    """
    layout, files = _open(folder)
    return read_nifti_case(case_name(folder), files, integer_unit=layout.INTEGER_UNIT)


def case_files(folder: Path) -> dict[str, Path]:
    """The files of a case by what they hold: ctp, cbf, cbv, mtt, tmax, dwi, lesion; what is missing is left out.

    Raises:
        InputError: the folder does not exist or holds no series, or two files claim to be the same thing.
    """
    return _open(folder)[1]


def case_name(folder: Path) -> str:
    """The name of the case in ``folder``: that of the folder, or of the link to it."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  Path.resolve would follow links


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What cases hold, by the names of their files.

    Attributes:
        cases: names of all cases.
        without: names of those that lack a part, by the part.
        called: what file names of these data sets call a part.
    """

    cases: tuple[str, ...]
    without: Mapping[Literal["dwi", "lesion"], tuple[str, ...]]
    called: Mapping[Literal["dwi", "lesion"], str]

    def lack(self, part: Literal["dwi", "lesion"]) -> str | None:
        """In words how many cases lack a part, without a full stop; None if none does."""
        missing, total = self.without[part], len(self.cases)
        name = f"{'DWI' if part == 'dwi' else part} ({self.called[part]})"
        if not missing:
            return None
        if len(missing) == total:
            return f"None of the {total} cases has a {name}"
        return f"A {name} is missing in {len(missing)} of the {total} cases, {missing[0]} among them"


def take_inventory(folders: Sequence[Path]) -> Inventory:
    """Which of some cases have a DWI and which a lesion; looks at names alone, no file is opened.

    Raises:
        InputError: as :func:`case_files`.
    """
    opened = {folder: _open(folder) for folder in folders}
    layouts = [layout for layout in LAYOUTS.values() if any(layout is used for used, _ in opened.values())]

    def missing(part: str) -> tuple[str, ...]:
        return tuple(case_name(folder) for folder, (_, files) in opened.items() if part not in files)

    def called(part: str) -> str:
        return " or ".join(layout.CALLED[part] for layout in layouts)

    return Inventory(
        cases=tuple(case_name(folder) for folder in folders),
        without={"dwi": missing("dwi"), "lesion": missing("lesion")},
        called={"dwi": called("dwi"), "lesion": called("lesion")},
    )


def _open(folder: Path) -> tuple[Layout, dict[str, Path]]:
    """The layout of a case folder and its files by what they hold."""
    volumes = _volumes(folder)
    found = [(layout, layout.parts(volumes)) for layout in LAYOUTS.values()]
    found = [(layout, parts) for layout, parts in found if "ctp" in dict(parts)]
    if not found:
        raise InputError(f"{folder} has no raw CT perfusion series: expected a file named like {_EXPECTED}.")
    if len(found) > 1:
        raise InputError(f"{folder} holds series of {' and '.join(LAYOUTS)}: give each case a folder of its own.")
    layout, parts = found[0]
    files: dict[str, Path] = {}
    for name, path in parts:
        if name in files:
            raise InputError(
                f"{folder} holds two {name.upper()} files, {files[name].name} and {path.name}: remove one."
            )
        files[name] = path
    return layout, files


def _volumes(folder: Path) -> list[Path]:
    """NIfTI files under ``folder``, links followed, without hidden ones: unfinished, or left by macOS."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a case or a folder of cases.")
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in files if name.endswith(_SUFFIXES) and not name.startswith(".")]
    return sorted(found)


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key that puts case_2 before case_10."""
    words = re.split(r"(\d+)", str(path))
    return [(word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words]
