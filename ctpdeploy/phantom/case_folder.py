"""One patient on disk, as ISLES 2018 has it: a folder for the case, one folder and one 6-digit number a volume.

As there, volumes are not compressed, and CBF and CBV are whole numbers, ten times ml/100g/min and ml/100g.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctpdeploy import __version__
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.phantom.nifti import write_nifti
from ctpdeploy.phantom.patient import Patient, make_patient
from ctpdeploy.phantom.settings import PhantomConfig

__all__ = ["ground_truth", "write_case", "write_json"]

FLOW_SCALE = 10
FIRST_ID, IDS_PER_CASE = 100_000, 10
NOTICE = "Synthetic: made of equations by ctpdeploy.phantom; no patient's data."


def write_case(out: Path, seed: int, config: PhantomConfig, number: int) -> Path:
    """Make and write one case under a temporary name, then give it its own.

    Nothing waits for the disk, which takes as long as half of a patient: after a power failure it is made again.
    """
    patient = make_patient(np.random.SeedSequence(seed, spawn_key=(number,)), config)
    folder, interval = out / f"case_{number}", float(patient.times[1] - patient.times[0])
    with atomic_folder(folder, durable=False) as partial_folder:
        for offset, (name, volume) in enumerate(_volumes(patient).items()):
            identifier = FIRST_ID + IDS_PER_CASE * number + offset
            stem = f"SMIR.Brain.XX.O.{name}.{identifier:06d}"
            (partial_folder / stem).mkdir()
            write_nifti(partial_folder / stem / f"{stem}.nii", volume, patient.spacing, interval)
        write_json(partial_folder / "truth.json", ground_truth(patient, seed, number, config))
    return folder


def _volumes(patient: Patient) -> dict[str, NDArray[Any]]:
    """Volumes by ISLES' names and in its number formats, ``([T,] D, H, W)``."""
    maps = patient.maps
    return {
        "CT_4DPWI": patient.series,
        "CT": patient.ct,
        "CT_CBF": np.rint(FLOW_SCALE * maps["cbf"]).astype(np.uint16),
        "CT_CBV": np.rint(FLOW_SCALE * maps["cbv"]).astype(np.uint16),
        "CT_MTT": maps["mtt"].astype(np.float64),
        "OT": patient.lesion.astype(np.uint8),
        "CT_Tmax": maps["tmax"].astype(np.float64),
        "MR_DWI": patient.dwi,
    }


def ground_truth(patient: Patient, seed: int, number: int, config: PhantomConfig) -> dict[str, Any]:
    """Ground truth that no scan holds, for the side-car file."""
    voxel_ml = float(np.prod(patient.spacing)) / 1000.0
    volumes = {name: float(patient.truth[name].sum() * voxel_ml) for name in ("core", "penumbra", "old")}
    return {
        "notice": NOTICE,
        "version": __version__,
        "seed": seed,
        "case": number,
        "attempt": patient.attempt,
        "config": asdict(config),
        "stroke": asdict(patient.stroke),
        "bolus": asdict(patient.bolus),
        "motion": asdict(patient.motion) if patient.motion else None,
        "misregistration": asdict(patient.misregistration),
        "aif_hu": [round(float(value), 3) for value in patient.aif],
        "lesion_ml": patient.lesion_ml,
        "volumes_ml": volumes,
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a side-car file."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
