"""Places: where results will lie, judged before a case is read, and where those go that have become misleading.

::

    OUT/case_1/            result of the last run that took case_1
    OUT/submission/        where one was requested
    OUT/earlier/case_1/    earlier result of a case that the last run refused
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Final

from ctpdeploy.atomic import atomic_move, require_writable
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.cohort.seal import is_of_another
from ctpdeploy.runtime.io.case_ref import CaseRef, by_name
from ctpdeploy.runtime.io.layout import GIVEN
from ctpdeploy.runtime.report.submission import SUBMISSION, Submission
from ctpdeploy.runtime.report.writers import REPORT, result_folder

__all__ = ["EARLIER", "put_aside", "require_places"]

EARLIER: Final = "earlier"
"""Name of the folder in the folder of results."""


def require_places(
    cases: Sequence[CaseRef], out: Path, submission: Submission | None = None, *, inputs: Iterable[Path] = ()
) -> dict[str, CaseRef]:
    """Check where results will lie, which takes no time.

    Args:
        cases: to be read.
        out: folder of results.
        submission: that is to be made.
        inputs: other files and folders that are read, as those in which the cases were found.

    Returns:
        The cases by their names.

    Raises:
        UsageError: two cases have one name, or that of another folder of results; the result of another DICOM study
            is there under the name of one; the folder of results is, holds or lies in anything that is read; or it
            cannot be written.
    """
    named = by_name(cases)
    for taken in (EARLIER, *([SUBMISSION] if submission else [])):
        if taken in named:
            raise UsageError(f"A case called {taken} would lie where other results go: rename the case.")
    _require_apart(named, out, inputs)
    for name, case in named.items():
        if case.found and is_of_another(out / name, case.found):
            raise UsageError(
                f"{out / name} is the result of another DICOM study than the one in {case.folder}: choose another "
                "--out, or give the folder of the study another name."
            )
    require_writable(out)
    return named


def put_aside(out: Path, name: str) -> Path | None:
    """Move the earlier result of a case out of the place where a new one would lie.

    Returns:
        Where it is now; None if there is none.

    Raises:
        UsageError: what it would replace there is not all ours.
        OSError: it cannot be moved.
    """
    result = out / name
    if PurePath(name).name != name or result.is_symlink() or not (result / REPORT).is_file():
        return None
    target = result_folder(out / EARLIER, name)
    atomic_move(result, target)
    return target


def _require_apart(named: dict[str, CaseRef], out: Path, inputs: Iterable[Path]) -> None:
    """Refuse results that would replace what is read, or lie among it and be taken for it the next time."""
    places = {_real(out), *(_real(out / name) for name in named)}
    around = {folder: place for place in places for folder in (place, *place.parents)}
    for source in dict.fromkeys(_real(path) for path in (*inputs, *_read(named.values()))):
        if place := around.get(source):
            raise UsageError(f"Results in {place} would lie in {source}, which is read: choose another --out.")
        if held := places.intersection(source.parents):
            raise UsageError(f"Results in {held.pop()} would lie around {source}, which is read: choose another --out.")


def _real(path: Path) -> Path:
    """Without links; unlike ``Path.resolve`` it raises at no loop of links, which is a fault of one case alone."""
    return Path(os.path.realpath(path))


def _read(cases: Iterable[CaseRef]) -> Iterable[Path]:
    for case in cases:
        yield from case.files.values()
        if case.layout != GIVEN:
            yield case.folder
