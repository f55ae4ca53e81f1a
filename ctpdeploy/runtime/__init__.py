"""The workstation: a case in, a prediction out. NumPy, SciPy, nibabel and an inference engine; never torch.

::

    find_cases -> CaseRef.read -> Case -> preprocess -> SliceBatch -> Engine.run -> SliceOutputs -> postprocess
        -> Prediction -> write_prediction
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ctpdeploy.runtime.bundle.bundle import Bundle
    from ctpdeploy.runtime.bundle.trust import ANYONE
    from ctpdeploy.runtime.cohort.case_score import score_case
    from ctpdeploy.runtime.cohort.run import infer_cases
    from ctpdeploy.runtime.data.case import Case
    from ctpdeploy.runtime.data.finding import Finding
    from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
    from ctpdeploy.runtime.data.prediction import Prediction
    from ctpdeploy.runtime.io.arrays import case_from_arrays
    from ctpdeploy.runtime.io.case_ref import CaseRef
    from ctpdeploy.runtime.io.cases import find_cases, read_case
    from ctpdeploy.runtime.perfusion.maps import perfusion_maps
    from ctpdeploy.runtime.perfusion.threshold_rule import threshold_rule
    from ctpdeploy.runtime.pipeline import Pipeline
    from ctpdeploy.runtime.report.writers import write_prediction

__all__ = [
    "ANYONE",
    "Bundle",
    "Case",
    "CaseRef",
    "Finding",
    "PerfusionConfig",
    "Pipeline",
    "Prediction",
    "case_from_arrays",
    "find_cases",
    "infer_cases",
    "perfusion_maps",
    "read_case",
    "score_case",
    "threshold_rule",
    "write_prediction",
]

_MODULES: Final = {
    "ANYONE": "ctpdeploy.runtime.bundle.trust",
    "Bundle": "ctpdeploy.runtime.bundle.bundle",
    "Case": "ctpdeploy.runtime.data.case",
    "CaseRef": "ctpdeploy.runtime.io.case_ref",
    "Finding": "ctpdeploy.runtime.data.finding",
    "PerfusionConfig": "ctpdeploy.runtime.data.perfusion_config",
    "Pipeline": "ctpdeploy.runtime.pipeline",
    "Prediction": "ctpdeploy.runtime.data.prediction",
    "case_from_arrays": "ctpdeploy.runtime.io.arrays",
    "find_cases": "ctpdeploy.runtime.io.cases",
    "infer_cases": "ctpdeploy.runtime.cohort.run",
    "perfusion_maps": "ctpdeploy.runtime.perfusion.maps",
    "read_case": "ctpdeploy.runtime.io.cases",
    "score_case": "ctpdeploy.runtime.cohort.case_score",
    "threshold_rule": "ctpdeploy.runtime.perfusion.threshold_rule",
    "write_prediction": "ctpdeploy.runtime.report.writers",
}
"""Where each name stands. It is imported when it is used: whoever needs a room of the runtime pays for that room, and
not for networks, DICOM and SciPy, which take a second."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  of whatever kind it is
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
