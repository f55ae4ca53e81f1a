"""ncnn itself: its package, its options and a network loaded into it.

Each of these was seen to go wrong otherwise, without a word:

* its threads wait busily for each other, which costs seconds on a machine that does anything else: the waiting policy
  is read when the package is imported, and only then;
* it computes in half precision where it can, by default;
* F(6x6) rounds ten times as much as F(4x4), and F(2x2) beside F(4x4) takes memory for nothing;
* threads are dealt out when the weights are loaded: the number has to be set before;
* an array given as it is, is neither kept alive nor safe from a layer that works in place: it is copied.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.ncnn_cpu.layers import Layers
from ctpdeploy.runtime.backends.packages import require_whole

__all__ = ["EXTRA", "Network", "ncnn_package"]

EXTRA: Final = "ncnn"
"""Extra with the package."""

_WAITING: Final = "OMP_WAIT_POLICY"

_HALF: Final = ("use_bf16", "use_fp16", "use_int8")
"""Prefixes of the options of fewer bits."""


class Network:
    """A network loaded into ncnn; may run in several threads at once.

    Args:
        layers: the network.
        threads: how many share the work of a run.

    Raises:
        BackendError: ncnn refuses it.
    """

    def __init__(self, layers: Layers, threads: int) -> None:
        self._ncnn = ncnn_package()
        self._net = self._ncnn.Net()
        self._outputs = dict(layers.outputs)
        _set_options(self._net.opt, threads)
        with tempfile.TemporaryDirectory() as folder:
            lines, weights = Path(folder, "layers"), Path(folder, "weights")
            lines.write_text(str(layers), encoding="ascii")
            layers.write_weights(weights)
            for read, file in ((self._net.load_param, lines), (self._net.load_model, weights)):
                if read(str(file)) != 0:
                    raise BackendError(
                        f"ncnn {self._ncnn.__version__} refuses the {file.name} of the network: "
                        "use another backend, or another version of ncnn."
                    )

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Run one slice.

        Args:
            inputs: ``(C, H, W)`` by name.

        Returns:
            Outputs by name, ``(C, H, W)``.
        """
        run = self._net.create_extractor()
        for name, array in inputs.items():
            borrowed = np.ascontiguousarray(array, np.float32)  # alive until it is copied
            self._check(run.input(name, self._ncnn.Mat(borrowed).clone()))
        outputs = {}
        for name, tensor in self._outputs.items():
            code, found = run.extract(tensor)
            self._check(code)
            outputs[name] = np.array(found)
        return outputs

    def close(self) -> None:
        """Give back the weights; the threads are OpenMP's."""
        self._net.clear()

    def _check(self, code: int) -> None:
        if code != 0:
            raise BackendError(f"ncnn {self._ncnn.__version__} fails with code {code}: free memory, or use ort-cpu.")


def ncnn_package() -> ModuleType:
    """The package, imported with patient threads.

    Raises:
        MissingPackageError: it is not installed.
        BackendError: it does not load, or is half removed.
    """
    with _environment(_WAITING, "PASSIVE"):
        return require_whole("ncnn", extra=EXTRA, has="Net")


def _set_options(options: Any, threads: int) -> None:  # noqa: ANN401  ncnn is imported where it is needed
    for name in dir(options):
        if name.startswith(_HALF):
            setattr(options, name, False)
    options.use_vulkan_compute = False
    options.use_winograd_convolution = True
    options.use_winograd43_convolution = True
    options.use_winograd23_convolution = False
    options.use_winograd63_convolution = False
    options.openmp_blocktime = 0
    options.num_threads = threads


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for a while."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
