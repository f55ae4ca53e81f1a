"""Results on disk: a folder for each case, whole or not at all.

::

    OUT/case_1/
      sub-case1_desc-lesion_mask.nii.gz        uint8 {0, 1}
      sub-case1_desc-lesion_probseg.nii.gz     float32
      sub-case1_desc-pseudo_dwi.nii.gz         float32, from a system that synthesises one
      overview.png
      report.json
      dicom/                                   of a case read from DICOM, where wanted

Volumes have the header of the source series, so that they overlay it in any viewer; names follow BIDS derivatives.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.data.case import Case, require_case_name
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.data.source import NiftiSource
from ctpdeploy.runtime.io.compression import gzip_bytes
from ctpdeploy.runtime.report.dicom.writer import DICOM_FILE, write_dicom
from ctpdeploy.runtime.report.overview import write_overview
from ctpdeploy.runtime.report.report_json import build_report

__all__ = [
    "DICOM",
    "DIGESTS",
    "OVERVIEW",
    "RECEIPT",
    "REPORT",
    "own_files",
    "result_folder",
    "write_prediction",
    "write_volume",
]

REPORT = "report.json"
OVERVIEW = "overview.png"
DICOM = "dicom"
"""Folder of DICOM objects in a result."""
DIGESTS = "digests.json"
"""Beside them after a run over many cases, see :mod:`ctpdeploy.runtime.cohort.seal`."""
RECEIPT = "receipt.json"
"""Beside them when objects were sent, see :mod:`ctpdeploy.service.receipt`; it stays when the case is written anew."""

_OURS: Final = re.compile(
    rf"{re.escape(REPORT)}|{re.escape(OVERVIEW)}|{re.escape(DIGESTS)}|{re.escape(RECEIPT)}"
    r"|sub-[0-9A-Za-z]+_desc-(lesion_mask|lesion_probseg|pseudo_dwi)\.nii\.gz"
)


def write_prediction(
    out: Path | str,
    case: Case,
    prediction: Prediction,
    *,
    seconds: Mapping[str, float] | None = None,
    dicom: bool = False,
    fractional: bool = False,
    complete: Callable[[Path], None] | None = None,
) -> Path:
    """Write the results of a case.

    Args:
        out: folder of results; the case gets a folder of its own in it, replaced if it is there.
        case: as read.
        prediction: of that case.
        seconds: times of stages before the prediction, for the report, as ``{"read": 0.4}``.
        dicom: write DICOM objects too, in the study that the case was read from.
        fractional: write the probability as one of them, as a segmentation with shades.
        complete: called with the folder when all is in it, before it gets its name, so that no other process has put
            results of its own there.

    Returns:
        The folder of the case.

    Raises:
        InputError: the case has a name that is no name of a folder, the prediction is of another case, or DICOM objects
            are wanted of a case that was not read from DICOM, or whose files cannot be read any more.
        UsageError: something else than earlier results stands in the place of the results.
        MissingPackageError: DICOM objects are wanted and highdicom is not installed.
    """
    target = result_folder(out, case.identifier)
    if prediction.mask.shape != case.series.shape[1:]:
        raise InputError(
            f"The prediction has the shape {prediction.mask.shape} and {case.identifier} {case.series.shape[1:]}: give "
            "the case that was predicted."
        )
    label = re.sub(r"[^0-9A-Za-z]", "", case.identifier.removeprefix("sub-")) or "case"
    names = {
        "mask": f"sub-{label}_desc-lesion_mask.nii.gz",
        "probability": f"sub-{label}_desc-lesion_probseg.nii.gz",
        "pseudo_dwi": f"sub-{label}_desc-pseudo_dwi.nii.gz",
        "overview": OVERVIEW,
    }
    if prediction.pseudo_dwi is None:
        del names["pseudo_dwi"]
    start = time.perf_counter()
    with atomic_folder(target, replace=True) as folder:
        write_volume(folder / names["mask"], prediction.mask.astype(np.uint8), case)
        write_volume(folder / names["probability"], prediction.probability, case)
        if prediction.pseudo_dwi is not None:
            write_volume(folder / names["pseudo_dwi"], prediction.pseudo_dwi, case)
        volumes_written = time.perf_counter()
        write_overview(folder / names["overview"], case, prediction)
        drawn = time.perf_counter()
        stages = {
            **(seconds or {}),
            **prediction.outputs.seconds,
            "write": volumes_written - start,
            "overview": drawn - volumes_written,
        }
        if dicom:
            written = write_dicom(folder / DICOM, case, prediction, folder / OVERVIEW, fractional=fractional)
            names |= {f"{DICOM}_{word}": f"{DICOM}/{file}" for word, file in written.items()}
            stages["dicom"] = time.perf_counter() - drawn
        report = build_report(case, prediction, seconds=stages, outputs=names)
        (folder / REPORT).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        if (target / RECEIPT).is_file():  # what an archive has been sent it has still
            shutil.copyfile(target / RECEIPT, folder / RECEIPT)
        if complete is not None:
            complete(folder)
    return target


def result_folder(out: Path | str, name: str) -> Path:
    """The folder of a case's results, ``OUT/NAME``.

    Raises:
        InputError: the name is no name of a folder.
        UsageError: something else than earlier results stands there, or also stands there, and must not be replaced.
    """
    require_case_name(name)
    target = Path(os.path.abspath(out)) / name  # noqa: PTH100  links stay as they are
    if not os.path.lexists(target):
        return target
    if target.is_symlink() or not (target / REPORT).is_file():
        raise UsageError(f"{target} exists and holds no results of ctpdeploy: choose another --out or remove it.")
    own = {*own_files(target), target / DICOM}
    held = [*target.iterdir(), *_within(target / DICOM)]
    if strangers := sorted(
        path.relative_to(target).as_posix() for path in held if path not in own and path.name[0] != "."
    ):
        raise UsageError(
            f"{target} also holds {', '.join(strangers)}, not written by ctpdeploy: move that, or choose another --out."
        )
    return target


def own_files(result: Path) -> list[Path]:
    """The files in a result that ctpdeploy wrote, by their names: what may be replaced with it, beside hidden ones."""
    objects = [path for path in _within(result / DICOM) if DICOM_FILE.fullmatch(path.name)]
    return sorted([*(path for path in result.iterdir() if _OURS.fullmatch(path.name)), *objects])


def _within(folder: Path) -> list[Path]:
    """What a folder holds; a link to one is no folder of ours."""
    return list(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def write_volume(path: Path, volume: NDArray[Any], case: Case) -> None:
    """Write ``(D, H, W)`` as ``.nii.gz`` on the voxels of the case's source, with its header where that is NIfTI."""
    header = _header(case)
    header.set_data_dtype(volume.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = f"ctpdeploy. {INTENDED_USE}".encode()
    # the affine that the header already states: pixdim and the form codes stay as in the source
    image = nib.Nifti1Image(case.geometry.to_source(volume), header.get_best_affine(), header)
    path.write_bytes(gzip_bytes(image.to_bytes()))


def _header(case: Case) -> nib.Nifti1Header:
    """A copy of the source's header, or one that states the geometry."""
    if isinstance(case.source, NiftiSource):
        return case.source.header.copy()
    header = nib.Nifti1Header()
    header.set_data_shape(case.geometry.shape)
    header.set_xyzt_units("mm")
    header.set_zooms(nib.affines.voxel_sizes(case.geometry.affine))
    header.set_sform(case.geometry.affine, code="scanner")
    return header
