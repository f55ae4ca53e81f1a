"""A case on a GPU, from raw series to mask: one CUDA source, equal to the reference, and the engine around networks.

No package is needed to import this, and none but NumPy to prove it: the same source runs on the CPU through a shim.
"""

from ctpdeploy.runtime.backends.cuda.device import Device, DeviceArray
from ctpdeploy.runtime.backends.cuda.engine import CudaEngine
from ctpdeploy.runtime.backends.cuda.network import DeviceNetwork
from ctpdeploy.runtime.backends.cuda.postprocessing import CudaPostprocessor
from ctpdeploy.runtime.backends.cuda.preprocessing import CudaPreprocessor, DeviceBatch
from ctpdeploy.runtime.backends.cuda.pycuda_device import PycudaDevice
from ctpdeploy.runtime.backends.cuda.series_upload import HOUNSFIELD, Rescale
from ctpdeploy.runtime.backends.cuda.workspace import Workspace

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
