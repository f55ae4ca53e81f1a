"""The workstation: a case in, a prediction out. NumPy, SciPy, nibabel and an inference engine; never torch.

::

    read_case -> Case -> preprocess -> SliceBatch -> Engine.run -> SliceOutputs -> postprocess -> Prediction -> write_*
"""

from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.io.cases import case_name, find_cases, read_case
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.report.writers import write_prediction

__all__ = ["Bundle", "Case", "Pipeline", "Prediction", "case_name", "find_cases", "read_case", "write_prediction"]
