"""A case on a GPU, from raw series to mask: one CUDA source, equal to the reference, and the engine around networks.

No package is needed to import this, and none but NumPy to prove it: the same source runs on the CPU through a shim.
"""

from ctpdeploy.runtime.cuda.device import Device, DeviceArray
from ctpdeploy.runtime.cuda.engine import CudaEngine
from ctpdeploy.runtime.cuda.network import DeviceNetwork
from ctpdeploy.runtime.cuda.postprocessing import CudaPostprocessor
from ctpdeploy.runtime.cuda.preprocessing import CudaPreprocessor, DeviceBatch
from ctpdeploy.runtime.cuda.pycuda_device import PycudaDevice
from ctpdeploy.runtime.cuda.series import HOUNSFIELD, Rescale
from ctpdeploy.runtime.cuda.workspace import Workspace

__all__ = [
    "HOUNSFIELD",
    "CudaEngine",
    "CudaPostprocessor",
    "CudaPreprocessor",
    "Device",
    "DeviceArray",
    "DeviceBatch",
    "DeviceNetwork",
    "PycudaDevice",
    "Rescale",
    "Workspace",
]
