"""The maps that deconvolution makes of a patient's truth: no noise, no drift, and the artery known.

A tissue curve depends on MTT and delay alone, but for a factor. So the bolus's table of curves is deconvolved once,
and every voxel looks its maximum up, as it looks its curve up when a series is made.
"""

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.bolus import DELAYS, TRANSIT_TIMES, tissue_rows
from ctpdeploy.phantom.patient import Patient
from ctpdeploy.runtime.perfusion.deconvolution import deconvolve

__all__ = ["ideal_maps"]

LEAST_TISSUE = 0.5
"""Share of grey and white matter below which a voxel is left out, as CSF and vessels are in a workstation's maps."""


def ideal_maps(patient: Patient) -> dict[str, NDArray[np.float32]]:
    """CBF, CBV, MTT and Tmax ``(D, H, W)`` float32, zero where less than half is grey or white matter.

    By truncated SVD at 0.10 as everywhere; units and names are those of ``patient.maps``.
    """
    truth, times = patient.truth, patient.times
    shown = truth["tissue"] > LEAST_TISSUE
    cbf, cbv = truth["cbf"][shown], truth["cbv"][shown]
    rows, weights = tissue_rows(60 * cbv / cbf, truth["delay"][shown] / truth["tissue"][shown])
    tissue = patient.bolus.table()[: len(TRANSIT_TIMES) * len(DELAYS)]
    of_table = deconvolve(patient.bolus.at(tissue, times).T, patient.aif, float(times[1] - times[0]))
    unit, tmax = ((of_table[name][rows] * weights).sum(axis=0) for name in ("cbf", "tmax"))
    values = {"cbf": cbf * unit, "cbv": cbv, "mtt": 60 * cbv / (cbf * unit), "tmax": tmax}
    maps = {name: np.zeros(shown.shape, dtype=np.float32) for name in values}
    for name, value in values.items():
        maps[name][shown] = value
    return maps
