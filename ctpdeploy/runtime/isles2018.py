"""ISLES 2018 on disk: finding cases and the files of a case.

::

    case_1/SMIR.Brain.XX.O.CT_4DPWI.345561/SMIR.Brain.XX.O.CT_4DPWI.345561.nii

The modality is one dot-separated word of the file name; every volume has an id of its own, so none is derived from
another. The first release wrote ``MR_`` where later ones write ``CT_``.
"""

import os
import re
from pathlib import Path

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.study import read_study

__all__ = ["case_files", "case_name", "find_cases", "read_case"]

_MODALITIES = {
    "CT_4DPWI": "ctp",
    "CT_CBF": "cbf",
    "CT_CBV": "cbv",
    "CT_MTT": "mtt",
    "CT_TMAX": "tmax",
    "OT": "lesion",
}
_SUFFIXES = (".nii", ".nii.gz")


def find_cases(folder: Path) -> list[Path]:
    """All case folders in ``folder``, at any depth, in natural order; ``[folder]`` if it is a case itself.

    Raises:
        InputError: the folder does not exist, or no case is in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give a case or a folder of cases.")
    series = [path for path in _volumes(folder) if _modality(path) == "ctp"]
    if not series:
        raise InputError(f"No case in {folder}: a case holds a CT_4DPWI file ({' or '.join(_SUFFIXES)}).")
    cases = {_case_folder(path, folder) for path in series}
    return sorted(cases, key=_natural)


def case_files(folder: Path) -> dict[str, Path]:
    """The files of a case by what they hold: ctp, cbf, cbv, mtt, tmax, dwi, lesion; what is missing is left out.

    Raises:
        InputError: the folder does not exist, or two files claim to be the same thing.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give the folder of a case.")
    files: dict[str, Path] = {}
    for path in _volumes(folder):
        name = _modality(path)
        if name is None:
            continue
        if name in files:
            raise InputError(
                f"{folder} holds two {name.upper()} files, {files[name].name} and {path.name}: remove one."
            )
        files[name] = path
    return files


def read_case(folder: Path) -> Case:
    """Read the case in ``folder``.

    Raises:
        InputError: as :func:`case_files` and :func:`ctpdeploy.runtime.study.read_study`.
    """
    files = case_files(folder)
    if not files:
        raise InputError(f"{folder} holds no ISLES 2018 volumes: expected names like SMIR.Brain.XX.O.CT_4DPWI.1.nii.")
    return read_study(case_name(folder), files)


def case_name(folder: Path) -> str:
    """The name of the case in ``folder``: that of the folder, or of the link to it."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100  Path.resolve would follow links


def _volumes(folder: Path) -> list[Path]:
    """NIfTI files under ``folder``, links followed, without hidden ones: unfinished, or left by macOS."""
    found = []
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in files if name.endswith(_SUFFIXES) and not name.startswith(".")]
    return sorted(found)


def _modality(path: Path) -> str | None:
    """What a file holds, from the words of its name."""
    words = [re.sub(r"^MR_", "CT_", word.upper()) for word in path.name.split(".")]
    for word in words:
        if word in _MODALITIES:
            return _MODALITIES[word]
        if "DWI" in word:
            return "dwi"
    return None


def _case_folder(series: Path, root: Path) -> Path:
    """The folder of the case: above the folder that is named as the file, else the file's own."""
    own = series.parent
    stem = series.name.removesuffix(".gz").removesuffix(".nii")
    return own.parent if own.name == stem and own != root else own


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key that puts case_2 before case_10."""
    words = re.split(r"(\d+)", str(path))
    return [(word.isdigit(), int(word) if word.isdigit() else 0, word) for word in words]
