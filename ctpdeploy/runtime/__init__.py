"""The workstation: a case in, a prediction out. NumPy, SciPy, nibabel and an inference engine; never torch.

::

    read_case -> Case -> preprocess -> SliceBatch -> Engine.run -> SliceOutputs -> postprocess -> Prediction -> write_*
"""

from ctpdeploy.runtime.bundle import Bundle
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.cases import case_name, find_cases, read_case
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.runtime.postprocess import Prediction
from ctpdeploy.runtime.writers import write_prediction

__all__ = ["Bundle", "Case", "Pipeline", "Prediction", "case_name", "find_cases", "read_case", "write_prediction"]
