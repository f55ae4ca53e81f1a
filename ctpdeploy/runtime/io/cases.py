"""Cases on disk, whatever the layout: found in one walk, read one by one, counted by what they hold."""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case, MapsWanted
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.dicom.study import ARCHIVE
from ctpdeploy.runtime.io import dicom_study, isles2018, isles2024
from ctpdeploy.runtime.io.case_ref import CaseRef, no_case
from ctpdeploy.runtime.io.layout import Layout, walk

__all__ = ["LAYOUTS", "Inventory", "find_cases", "read_case", "take_inventory"]

_log = logging.getLogger(__package__)

LAYOUTS: Final[dict[str, Layout]] = {
    isles2018.NAME: isles2018,
    isles2024.NAME: isles2024,
    dicom_study.NAME: dicom_study.DicomStudies(),
}
"""All layouts by name; one more is one more entry."""


def find_cases(folder: Path | str, *, series: str = "") -> list[CaseRef]:
    """All cases in ``folder``, at any depth, in natural order; one if the folder is a case itself.

    Files are listed once, without hidden ones; none is read beyond what its layout needs to know it.

    Args:
        folder: a case, or a folder of cases in any layout of ``LAYOUTS``; or a zip of DICOM images.
        series: UID, or number, of the DICOM series to take in each study, whatever it looks like; empty for the one
            that is CT perfusion.

    Returns:
        References to the cases. A folder that cannot be listed makes the case around it one at fault, or else is one
        itself: it may be a patient's.

    Raises:
        InputError: the folder does not exist or cannot be listed, or no case is in it.
    """
    root = Path(folder)
    archive = root.suffix.lower() == ARCHIVE and root.is_file()
    if not (root.is_dir() or archive):
        raise InputError(f"{root} is not a folder: give a case or a folder of cases.")
    unreadable: list[OSError] = []
    files = [root] if archive else walk(root, unreadable)
    layouts = {**LAYOUTS, **({dicom_study.NAME: dicom_study.DicomStudies(series)} if series else {})}
    found = [case for layout in layouts.values() for case in layout.find(files, root)]
    found = _with_unreadable(found, unreadable, root)
    if not found:
        expected = " or ".join(f"{layout.EXAMPLE} ({name})" for name, layout in LAYOUTS.items())
        raise InputError(f"No case in {root}: a case is known by {expected}.")
    cases = sorted(_one_layout_a_folder(found), key=lambda case: _natural(case.folder))
    _log.info("%d cases found among %d files", len(cases), len(files))
    return cases


def read_case(
    folder: Path | str,
    perfusion: PerfusionConfig | None = None,
    *,
    frame_interval: float | None = None,
    maps: MapsWanted = "given",
) -> Case:
    """Read the one case in ``folder``.

    Args:
        folder: of the case.
        perfusion: how its maps are computed if it has none, as networks have it in ``Pipeline.perfusion``; defaults to
            ``PerfusionConfig()``.
        frame_interval: seconds between frames, whatever its files state; None for what they state.
        maps: ``"computed"`` to have them computed though the case has some.

    Raises:
        InputError: there is none or more than one, or it cannot be read.
    """
    cases = find_cases(folder)
    if len(cases) > 1:
        raise InputError(f"{folder} holds {len(cases)} cases: name one of them, as {cases[0].folder}.")
    return replace(cases[0], frame_interval=frame_interval, maps=maps).read(perfusion)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The DWIs and lesions of some cases, by the names of their files.

    Attributes:
        cases: names of all cases.
        without: names of those that lack a part, by the part.
        called: name of a part in the file names of these data sets.
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


def take_inventory(cases: Sequence[CaseRef]) -> Inventory:
    """The inventory of some cases; no file is opened.

    Raises:
        InputError: the files of one make no case.
    """
    for case in cases:
        case.require_sound()
    layouts = [layout for name, layout in LAYOUTS.items() if any(case.layout == name for case in cases)]

    def missing(part: str) -> tuple[str, ...]:
        return tuple(case.name for case in cases if part not in case.files)

    def called(part: str) -> str:
        return " or ".join(layout.CALLED[part] for layout in layouts)

    return Inventory(
        cases=tuple(case.name for case in cases),
        without={"dwi": missing("dwi"), "lesion": missing("lesion")},
        called={"dwi": called("dwi"), "lesion": called("lesion")},
    )


def _with_unreadable(cases: Sequence[CaseRef], errors: Sequence[OSError], root: Path) -> list[CaseRef]:
    """The cases, with a fault where a folder in them cannot be listed, and one more for each such folder in none."""
    cases = list(cases)
    for error in errors:
        folder = Path(error.filename)
        fault = f"{folder} cannot be read ({error.strerror}): give this user the right to read it."
        if folder == root:
            raise InputError(fault)
        around = [case for case in cases if folder.is_relative_to(case.folder)]
        cases = [replace(case, fault=case.fault or fault) if case in around else case for case in cases]
        if not around:
            name = "-".join(folder.relative_to(root).parts)
            cases.append(CaseRef(name=name, layout="", folder=folder, files={}, reader=no_case, fault=fault))
    return cases


def _one_layout_a_folder(cases: Sequence[CaseRef]) -> list[CaseRef]:
    """The cases; a folder that two layouts claim is one case, at fault."""
    by_folder: dict[str, list[CaseRef]] = {}
    for case in cases:
        by_folder.setdefault(os.path.abspath(case.folder), []).append(case)  # noqa: PTH100  links stay as they are
    kept = []
    for claims in by_folder.values():
        layouts = list(dict.fromkeys(case.layout for case in claims))
        if len(layouts) > 1:
            fault = f"{claims[0].folder} holds series of {' and '.join(layouts)}: give each case a folder of its own."
            claims = [replace(claims[0], fault=fault)]
        kept += claims
    return kept


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Sort key that puts case_2 before case_10."""
    words = re.split(r"(\d+)", str(path))
    return [(word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words]
