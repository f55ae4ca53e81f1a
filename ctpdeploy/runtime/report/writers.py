"""Results on disk: a folder for each case, whole or not at all.

::

    OUT/case_1/
      sub-case1_desc-lesion_mask.nii.gz        uint8 {0, 1}
      sub-case1_desc-lesion_probseg.nii.gz     float32
      sub-case1_desc-pseudo_dwi.nii.gz         float32, from a system that synthesises one
      overview.png
      report.json

Volumes have the header of the source series, so that they overlay it in any viewer; names follow BIDS derivatives.
"""

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ctpdeploy import INTENDED_USE
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.runtime.data.case import Case, Geometry
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.compression import gzip_bytes
from ctpdeploy.runtime.report.overview import write_overview
from ctpdeploy.runtime.report.report_json import build_report

__all__ = ["OVERVIEW", "REPORT", "write_prediction", "write_volume"]

REPORT = "report.json"
OVERVIEW = "overview.png"


def write_prediction(
    out: Path, case: Case, prediction: Prediction, *, source: Mapping[str, Any], read_seconds: float
) -> Path:
    """Write everything that was found in a case.

    Args:
        out: folder of results; the case gets a folder of its own in it, replaced if it is there.
        case: what was read.
        prediction: what was found.
        source: what to say in the report of the bundle and the backend asked for.
        read_seconds: time it took to read the case.

    Returns:
        The folder of the case.
    """
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
    with atomic_folder(out / case.identifier, replace=True) as folder:
        write_volume(folder / names["mask"], prediction.mask.astype(np.uint8), case.geometry)
        write_volume(folder / names["probability"], prediction.probability, case.geometry)
        if prediction.pseudo_dwi is not None:
            write_volume(folder / names["pseudo_dwi"], prediction.pseudo_dwi, case.geometry)
        volumes_written = time.perf_counter()
        write_overview(folder / names["overview"], case, prediction)
        seconds = {
            "read": read_seconds,
            **prediction.seconds,
            "write": volumes_written - start,
            "overview": time.perf_counter() - volumes_written,
        }
        report = build_report(case, prediction, source=source, seconds=seconds, outputs=names)
        (folder / REPORT).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return out / case.identifier


def write_volume(path: Path, volume: NDArray[Any], geometry: Geometry) -> None:
    """Write ``(D, H, W)`` as ``.nii.gz`` in the geometry of the source file."""
    header = geometry.header.copy()
    header.set_data_dtype(volume.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = f"ctpdeploy. {INTENDED_USE}".encode()
    # the affine that the header already states: pixdim and the form codes stay as in the source
    image = nib.Nifti1Image(geometry.to_file(volume), header.get_best_affine(), header)
    path.write_bytes(gzip_bytes(image.to_bytes()))
