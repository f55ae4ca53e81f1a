"""Writer: the DICOM objects of a case in a folder.

::

    dicom/
      segmentation.dcm              SEG, the lesion
      report.dcm                    SR, volumes and findings
      overview.dcm                  SC, overview.png
      probability.dcm               PM, and one of pseudo_dwi and of each map that was computed
      probability_segmentation.dcm  SEG in shades, on request
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ctpdeploy.errors import MissingPackageError
from ctpdeploy.optional import available, require
from ctpdeploy.runtime.data.case import MAP_NAMES, Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from ctpdeploy.runtime.report.dicom.context import Context

__all__ = ["DICOM_FILE", "require_dicom", "write_dicom"]

_PACKAGE, _EXTRA = "highdicom", "dicom"

DICOM_FILE: Final = re.compile(
    rf"(segmentation|probability_segmentation|report|overview|probability|pseudo_dwi|{'|'.join(MAP_NAMES)})\.dcm"
)
"""Names of the files."""


def require_dicom() -> None:
    """Refuse to go on without the package that makes the objects, without the time that importing it takes.

    Raises:
        MissingPackageError: it is not installed.
    """
    if not available(_PACKAGE):
        raise MissingPackageError(_PACKAGE, _EXTRA)


def write_dicom(
    folder: Path, case: Case, prediction: Prediction, picture: Path, *, fractional: bool = False
) -> dict[str, str]:
    """Write the objects of a case.

    Args:
        folder: for them, made if missing.
        case: read from DICOM.
        prediction: of that case.
        picture: its overview, a PNG.
        fractional: write the probability as a segmentation too.

    Returns:
        Names of the files in the folder by what they hold.

    Raises:
        InputError: the case was not read from DICOM, or its files cannot be read any more.
        MissingPackageError: highdicom is not installed.
    """
    pydicom()
    require(_PACKAGE, extra=_EXTRA)
    from ctpdeploy.runtime.report.dicom.context import Context

    folder.mkdir(exist_ok=True)
    names = {}
    for word, data in _objects(Context(case, prediction), picture, fractional):
        names[word] = f"{word}.dcm"
        data.save_as(folder / names[word], enforce_file_format=True)
    return names


def _objects(context: "Context", picture: Path, fractional: bool) -> "Iterator[tuple[str, Dataset]]":
    from ctpdeploy.runtime.report.dicom.parametric_maps import parametric_map
    from ctpdeploy.runtime.report.dicom.secondary_capture import secondary_capture
    from ctpdeploy.runtime.report.dicom.segmentation import segmentation
    from ctpdeploy.runtime.report.dicom.structured_report import structured_report

    case, prediction = context.case, context.prediction
    lesion = segmentation(context)
    yield "segmentation", lesion
    if fractional:
        yield "probability_segmentation", segmentation(context, fractional=True)
    yield "report", structured_report(context, lesion)
    yield "overview", secondary_capture(context, picture)
    yield "probability", parametric_map(context, "probability", prediction.probability)
    if prediction.pseudo_dwi is not None:
        yield "pseudo_dwi", parametric_map(context, "pseudo_dwi", prediction.pseudo_dwi)
    if case.perfusion is not None:
        for name in MAP_NAMES:
            yield name, parametric_map(context, name, case.maps[name])
