"""Results: sealed folders of cases, and the DICOM objects in them that may leave the house."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.cohort.seal import require_whole
from ctpdeploy.runtime.report.writers import DICOM, REPORT
from ctpdeploy.service.instance import Instance, read_instance

__all__ = ["Result", "open_result", "results_in"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The result of a case, whole when it was opened.

    Attributes:
        folder: of it; its name is the case's.
        instances: its DICOM objects that were asked for, by the names of their files; none of a case that has none.
        sha256: digests of their files by their UIDs.
        report_sha256: digest of its report.
    """

    folder: Path
    instances: tuple[Instance, ...]
    sha256: Mapping[str, str]
    report_sha256: str


def results_in(place: Path) -> list[Path]:
    """The folder itself, if it is the result of a case, or those in it that are, by their names.

    Raises:
        InputError: there is none.
    """
    try:
        found = [place] if (place / REPORT).is_file() else [one for one in place.iterdir() if (one / REPORT).is_file()]
    except OSError as error:
        raise InputError(f"{place} cannot be read ({error.strerror}): check the path.") from error
    if not found:
        raise InputError(
            f"{place} holds no results: give the folder that ctpdeploy infer wrote, or that of a case in it."
        )
    return sorted(found)


def open_result(folder: Path, *, only: Collection[str] | None = None) -> Result:
    """Check the seal of a result, and read which objects it has.

    Args:
        folder: of the result.
        only: names of the files of objects, without their ending, that are looked at; None for all.

    Raises:
        InputError: it is not whole, or an object is no DICOM file.
        MissingPackageError: pynetdicom is not installed.
    """
    sealed = require_whole(folder)
    names = sorted(name for name in sealed if name.startswith(f"{DICOM}/"))
    names = [name for name in names if only is None or Path(name).stem in only]
    instances = {name: read_instance(folder / name, sha256=sealed[name]) for name in names}
    return Result(
        folder=folder,
        instances=tuple(instances.values()),
        sha256={one.uid: sealed[name] for name, one in instances.items()},
        report_sha256=sealed[REPORT],
    )
