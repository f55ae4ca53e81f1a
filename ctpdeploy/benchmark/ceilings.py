"""Ceilings of the machine at this moment: the matrix product and the copy beside which every other speed is read.

Other work on the machine, its own or that of its neighbours, slows these as it slows what is measured: they are taken
in the same rounds.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np

from ctpdeploy.runtime.backends.processor import usable_cores

__all__ = ["Ceilings", "measure_ceilings"]

_ORDER: Final = 1024
_BYTES_A_CORE: Final = 32 << 20
"""More than the share of the last cache that a core has."""

_SECONDS: Final = 0.2
_PAUSE_S: Final = 0.1
"""Until the threads of the matrix library, which wait busily for more work, have gone to sleep."""


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """Speeds with all cores.

    Attributes:
        sgemm_gflops: of NumPy's float32 matrix product, in 1e9 additions and multiplications a second.
        copy_gb_per_s: bytes read and written by a copy in memory, in 1e9 a second.
    """

    sgemm_gflops: float
    copy_gb_per_s: float


def measure_ceilings() -> Ceilings:
    """Measure for about half a second."""
    a = np.full((_ORDER, _ORDER), 0.5, dtype=np.float32)
    product = np.empty_like(a)
    products_a_second = _a_second(lambda: np.matmul(a, a, out=product))
    sources = [np.ones(_BYTES_A_CORE, dtype=np.uint8) for _ in range(usable_cores())]
    targets = [np.empty_like(source) for source in sources]
    with ThreadPoolExecutor(len(sources)) as pool:
        copies_a_second = _a_second(lambda: list(pool.map(np.copyto, targets, sources)))
    time.sleep(_PAUSE_S)
    return Ceilings(
        sgemm_gflops=2e-9 * _ORDER**3 * products_a_second,
        copy_gb_per_s=2e-9 * _BYTES_A_CORE * len(sources) * copies_a_second,
    )


def _a_second(run: Callable[[], object]) -> float:
    """Runs of a task in a second."""
    run()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < _SECONDS:
        run()
        count += 1
    return count / (time.perf_counter() - start)
