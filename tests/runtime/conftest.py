from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.libcuda import Libcuda, compile_libcuda

from ctpdeploy.runtime.backends.cuda import driver_graphs
from ctpdeploy.runtime.data.case import MAP_NAMES, Case
from ctpdeploy.runtime.data.geometry import Geometry


@pytest.fixture
def libcuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Libcuda:
    """What stands for the driver's library, with nothing called yet."""
    path = compile_libcuda(tmp_path)
    monkeypatch.setattr(driver_graphs, "LIBRARY", str(path))
    return Libcuda(path)


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    """A case of noise with a bolus in it."""

    def make(
        shape: tuple[int, int, int] = (2, 16, 24),
        frames: int = 20,
        dtype: type = np.float32,
        *,
        spacing: tuple[float, float, float] = (5.0, 1.0, 1.0),
        seed: int = 0,
    ) -> Case:
        rng = np.random.default_rng(seed)
        header = nib.Nifti1Header()
        header.set_data_shape(shape[::-1])
        bolus = 60 * np.exp(-(((np.arange(frames) - 0.45 * frames) / (0.15 * frames + 1)) ** 2))
        series = rng.uniform(-150, 300, (frames, *shape)) + bolus[:, None, None, None]
        maps = {name: rng.gamma(1.0, 15.0, shape).astype(np.float32) for name in MAP_NAMES}
        for values in maps.values():
            values[rng.random(shape) < 0.4] = 0.0  # outside the brain
        return Case(
            identifier="made",
            series=np.rint(series).astype(dtype) if np.issubdtype(dtype, np.integer) else series.astype(dtype),
            maps=maps,
            times=np.arange(frames, dtype=float),
            geometry=Geometry.of_affine(np.diag([*reversed(spacing), 1.0]), shape[::-1]),
        )

    return make
