"""ISLES 2018 on disk: which files make a case, and what each holds.

::

    case_1/SMIR.Brain.XX.O.CT_4DPWI.345561/SMIR.Brain.XX.O.CT_4DPWI.345561.nii

The modality is one dot-separated word of the file name; every volume has an id of its own, so none is derived from
another. The first release wrote ``MR_`` where later ones write ``CT_``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.layout import nifti_cases
from ctpdeploy.runtime.io.nifti_case import TENTHS

__all__ = ["CALLED", "EXAMPLE", "NAME", "find"]

NAME: Final = "ISLES 2018"
EXAMPLE: str = "SMIR.Brain.XX.O.CT_4DPWI.345561.nii"
CALLED: Mapping[str, str] = {"dwi": "MR_DWI", "lesion": "OT"}

_MODALITIES = {
    "CT_4DPWI": "ctp",
    "CT_CBF": "cbf",
    "CT_CBV": "cbv",
    "CT_MTT": "mtt",
    "CT_TMAX": "tmax",
    "OT": "lesion",
}


def find(files: Sequence[Path], root: Path) -> list[CaseRef]:
    """The cases of this layout, as :class:`ctpdeploy.runtime.io.layout.Layout` has it; no file is opened."""
    return nifti_cases(NAME, files, root, case_folders=_case_folders, parts=_parts, integer_unit=TENTHS)


def _case_folders(volumes: Sequence[Path], root: Path) -> set[Path]:
    """The folders of the cases among some files: each holds a series."""
    return {_case_folder(path, root) for path in volumes if _part(path) == "ctp"}


def _parts(volumes: Sequence[Path]) -> list[tuple[str, Path]]:
    """Part of the case that each file holds; files that hold none are left out."""
    return [(part, path) for path in volumes if (part := _part(path)) is not None]


def _part(path: Path) -> str | None:
    """Part of the case that a file holds, by the words of its name; None if it holds none."""
    if "_desc-" in path.name:  # a result of ours, written into the folder of the case
        return None
    words = [re.sub(r"^MR_", "CT_", word.upper()) for word in path.name.split(".")]
    known = next((_MODALITIES[word] for word in words if word in _MODALITIES), None)
    # the release that had a DWI is not to be had: certain is only that its name holds these letters; 4DPWI does not.
    return known or ("dwi" if any("DWI" in word for word in words) else None)


def _case_folder(series: Path, root: Path) -> Path:
    """The folder of the case: above the folder that is named as the file, else the file's own."""
    own = series.parent
    stem = series.name.removesuffix(".gz").removesuffix(".nii")
    return own.parent if own.name == stem and own != root else own
