"""Pre- and postprocessing on a GPU, equal to the reference: one CUDA source, launched through PyCUDA.

No package is needed to import this, and none but NumPy to prove it: the same source runs on the CPU through a shim.
"""

from ctpdeploy.runtime.cuda.device import Device, DeviceArray
from ctpdeploy.runtime.cuda.postprocessing import CudaPostprocessor
from ctpdeploy.runtime.cuda.preprocessing import CudaPreprocessor, DeviceBatch
from ctpdeploy.runtime.cuda.pycuda_device import PycudaDevice
from ctpdeploy.runtime.cuda.series import HOUNSFIELD, Rescale
from ctpdeploy.runtime.cuda.workspace import Workspace

__all__ = [
    "HOUNSFIELD",
    "CudaPostprocessor",
    "CudaPreprocessor",
    "Device",
    "DeviceArray",
    "DeviceBatch",
    "PycudaDevice",
    "Rescale",
    "Workspace",
]
