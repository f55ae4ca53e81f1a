"""Smaller versions of a case, for how cost grows with slices and frames."""

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np

from ctpdeploy.runtime import Case, CaseRef

__all__ = ["middle_slices", "write_every_nth_frame"]


def middle_slices(case: Case, count: int) -> Case:
    """The case with ``count`` of its slices, from the middle; in memory only, its header is that of the whole."""
    start = (case.series.shape[1] - count) // 2
    kept = slice(start, start + count)
    return replace(
        case,
        identifier=f"{case.identifier}, {count} slices",
        series=case.series[:, kept],
        maps={name: values[kept] for name, values in case.maps.items()},
        dwi=None if case.dwi is None else case.dwi[kept],
        lesion=None if case.lesion is None else case.lesion[kept],
    )


def write_every_nth_frame(case: CaseRef, step: int, target: Path) -> Path:
    """A copy of a case with every ``step``-th frame, so that the bolus stays whole; maps are links.

    Returns:
        ``target``, which is made.
    """
    for part, file in case.files.items():
        copy = target / file.relative_to(case.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if part == "ctp":
            image = nib.Nifti1Image.from_filename(file)
            image.header["pixdim"][4] *= step
            nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj)[..., ::step], image.affine, image.header), copy)
        else:
            copy.symlink_to(file.absolute())
    return target
