"""DICOM results: for which cases of a run they are written, judged before any is computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.io.dicom_study import NAME
from ctpdeploy.runtime.report.dicom.writer import require_dicom
from ctpdeploy.runtime.report.writers import DICOM

__all__ = ["OF_DICOM_STUDIES", "DicomResults"]


@dataclass(frozen=True, kw_only=True)
class DicomResults:
    """What is wanted.

    Attributes:
        wanted: of all cases or of none; None for those read from DICOM.
        fractional: write the probability as a segmentation too.

    Raises:
        UsageError: none are wanted, and one more is.
    """

    wanted: bool | None = None
    fractional: bool = False

    def __post_init__(self) -> None:
        if self.fractional and self.wanted is False:
            raise UsageError("--fractional asks for one more DICOM object and --no-dicom for none: leave out one.")

    def of(self, case: CaseRef) -> bool:
        """Whether they are written for a case.

        Raises:
            InputError: they are wanted and the case is no DICOM study.
        """
        if self.wanted and case.layout != NAME:
            raise InputError(
                f"{case.name} is laid out as {case.layout} and names no patient and no study, which DICOM results have "
                "to go with: give its DICOM study, or leave out --dicom."
            )
        return case.layout == NAME and self.wanted is not False

    def require_package(self, cases: Iterable[CaseRef]) -> None:
        """Refuse a run that will need what is not installed.

        Raises:
            MissingPackageError: it is not.
        """
        if self.wanted is not False and any(case.layout == NAME for case in cases):
            require_dicom()

    def are_in(self, report: Mapping[str, Any], case: CaseRef) -> bool:
        """Whether an earlier result of a case has them if they are wanted, and not if they are not.

        Args:
            report: content of ``report.json``.
            case: that it is of.
        """
        held, wanted = report["outputs"], self.of(case)
        return (f"{DICOM}_segmentation" in held, f"{DICOM}_probability_segmentation" in held) == (
            wanted,
            wanted and self.fractional,
        )


OF_DICOM_STUDIES: Final = DicomResults()
"""The usual: of cases read from DICOM, and of no other."""
