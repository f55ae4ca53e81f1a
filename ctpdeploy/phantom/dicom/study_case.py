"""A patient as a study on disk: what a scanner sends in one folder, and the truth that no scanner knows in another.

::

    case_1/study/...             the images, to be sent, read or copied to a disc
    case_1/truth/lesion.nii.gz   the infarct, voxel by voxel on the slices of the study, and with their affine
                 dwi.nii.gz      the DWI that it was drawn on
                 truth.json      how the patient was made, and what was written into the study
"""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ctpdeploy.atomic import atomic_folder
from ctpdeploy.phantom.case_folder import ground_truth, write_json
from ctpdeploy.phantom.dicom.layouts import LAYOUTS
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.phantom.dicom.timing import slice_times
from ctpdeploy.phantom.dicom.truth import StudyTruth
from ctpdeploy.phantom.patient import Patient, make_patient
from ctpdeploy.phantom.protocol import interpolation
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_study_case"]

STORED_HU = (-1024, 3071)
"""What the 12 bits of a scanner hold; it cuts off the rest."""


def write_study_case(out: Path, seed: int, config: PhantomConfig, layout: str, number: int) -> Path:
    """Make a patient and write the study; the patient of a seed and number is the same in all layouts.

    Where the table moves, each slice is the patient at the slice's own times, interpolated between frames.

    Raises:
        InputError: the patient cannot be written in this layout, as two slabs of two slices.
    """
    patient = make_patient(np.random.SeedSequence(seed, spawn_key=(number,)), config)
    folder = out / f"case_{number}"
    times, own = patient.times, slice_times(LAYOUTS[layout], patient.times, len(patient.ct))
    series = np.asarray(patient.series)
    if own is not None:
        own = own[own.max(axis=1) <= times[-1]]
        times = times[: len(own)]
        series = np.stack(
            [np.tensordot(interpolation(patient.times, own[:, k]), series[:, k], 1) for k in range(own.shape[1])],
            axis=1,
        )
    with atomic_folder(folder) as partial_folder:
        written = write_study(
            partial_folder / "study",
            _as_sent(np.clip(np.rint(series), *STORED_HU).astype(np.int16)),
            times,
            _affine(patient),
            layout,
            slice_times=own,
            maps={name: _as_sent(values) for name, values in patient.maps.items()},
            seed=seed,
            name=f"PHANTOM^CASE {number}",
        )
        truth = partial_folder / "truth"
        truth.mkdir()
        for name, volume in (("lesion", patient.lesion.astype(np.uint8)), ("dwi", patient.dwi)):
            nib.save(nib.Nifti1Image(_as_sent(volume).T, written.scans[0].affine), truth / f"{name}.nii.gz")
        made = ground_truth(patient, seed, number, config)
        write_json(truth / "truth.json", {**made, "study": {"layout": layout, **_in_json(written)}})
    return folder


def _as_sent(volume: NDArray[Any]) -> NDArray[Any]:
    """``(..., D, H, W)`` as rows from front to back and columns from the patient's right to the left."""
    return volume[..., ::-1, ::-1]


def _affine(patient: Patient) -> FloatArray:
    """Of what :func:`_as_sent` gives, with the middle of the slab at the origin."""
    steps = np.array(patient.spacing[::-1]) * (-1, -1, 1)
    middle = (np.array(patient.ct.shape[::-1]) - 1) / 2
    affine = np.diag([*steps, 1.0])
    affine[:3, 3] = -steps * middle
    return affine


def _in_json(truth: StudyTruth) -> dict[str, Any]:
    """What was written, for ``truth.json``."""
    return {
        "study_uid": truth.study_uid,
        "scans": [
            {
                "series_uids": list(scan.series_uids),
                "frames": list(scan.frames),
                "slices": list(scan.slices),
                "affine": scan.affine.tolist(),
                "clock": scan.clock,
                "times_s": scan.times.tolist(),
                "slice_times_s": None if scan.slice_times is None else scan.slice_times.tolist(),
            }
            for scan in truth.scans
        ],
        "others": dict(truth.others),
    }
