"""The whole way of the GPU backends on the CPU: for developers of ctpdeploy, who mostly have no GPU at hand.

The same engine, host code and kernels as on a GPU, with streams that advance at random paces; only the networks run in
ONNX Runtime. Nothing here is fast, and a C++ compiler has to be there. So it is in no list of backends, and ``auto``
never takes it: it runs with ``--backend cuda-host`` alone.
"""

import tempfile
from pathlib import Path
from typing import Final

from ctpdeploy.emulator.build import build_host_library
from ctpdeploy.emulator.device import HostDevice
from ctpdeploy.emulator.network import PACKAGES, HostNetwork
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.backend import Backend
from ctpdeploy.runtime.backends.cuda.engine import CudaEngine
from ctpdeploy.runtime.backends.cuda.workspace import Workspace
from ctpdeploy.runtime.bundle.bundle import PIPELINE, Bundle

__all__ = ["BACKEND", "open_engine"]


def open_engine(bundle: Bundle) -> CudaEngine:
    """Compile the kernels for the CPU and load the merged network of a bundle.

    Raises:
        BackendError: there is no C++ compiler, or ONNX Runtime is missing or refuses the network.
        InputError: the bundle is damaged.
    """
    with tempfile.TemporaryDirectory() as folder:  # once loaded, the library needs no file
        library = Path(folder) / "kernels.so"
        build_host_library(library)
        device = HostDevice(library)
    workspace = Workspace(device)
    called = bundle.source / bundle.networks[PIPELINE].file
    return CudaEngine(
        HostNetwork(device, workspace, bundle.network_file(PIPELINE), bundle.precision, called), workspace
    )


BACKEND: Final = Backend(
    extra=None, packages=PACKAGES, open=open_engine, unavailable_because=ort_cpu.unavailable_because
)
