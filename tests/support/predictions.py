"""Predictions that no network made, with a given mask and image."""

import numpy as np

from ctpdeploy.runtime import Prediction
from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
from ctpdeploy.runtime.data.slices import PerfusionWindow


def predicted(mask: np.ndarray, pseudo_dwi: np.ndarray | None = None) -> Prediction:
    outputs = CaseOutputs(
        mask=mask,
        probability=mask.astype(np.float32),
        pseudo_dwi=pseudo_dwi,
        window=PerfusionWindow(start=0, end=1, spans=((0, 1), (1, 2)), curve=np.zeros(2)),
        engine=EngineInfo(backend="none", device="none", precision="fp32"),
        seconds={},
    )
    return Prediction(outputs=outputs, components=(), volume_ml=0.0, threshold=0.5)
