"""The script that times the kernels on a GPU, on the CPU: that it checks them, and what it counts."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from gpu_kernels import measure_kernels

from ctpdeploy.errors import GateError
from ctpdeploy.runtime import Case
from ctpdeploy.runtime.backends.cuda import Workspace
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig


def test_kernels_are_checked_and_timed(make_workspace: Callable[..., Workspace], make_case: Callable[..., Case]):
    device = make_workspace().device
    config = PreprocessConfig(slice_shape=(16, 24))
    cases = [make_case((2, 16, 24), dtype=np.int16), make_case((2, 13, 21), dtype=np.float32)]
    found = measure_kernels(device, cases, config, copy_gb_per_s=10.0)
    names = {kernel["kernel"] for kernel in found}
    assert {"intensity_short", "intensity_float", "scale_short", "scale_resampled_float", "resample"} <= names
    assert {"count_digits", "select_digit", "flag_nonfinite", "mask_above", "frame_sums"} <= names
    (mask,) = (kernel for kernel in found if kernel["kernel"] == "mask_above" and "int16" in kernel["case"])
    assert mask["megabytes"] == 2 * 16 * 24 * 5 / 1e6
    assert all(kernel["microseconds"] > 0 for kernel in found)
    assert all(kernel["share_of_copy"] is None for kernel in found)  # so little is no matter of bandwidth


def test_a_wrong_kernel_is_not_timed(make_workspace: Callable[..., Workspace], make_case: Callable[..., Case]):
    device = make_workspace().device

    def launch(kernel: str, *arguments: object, **options: object) -> None:
        if kernel != "mask_above":
            type(device).launch(device, kernel, *arguments, **options)

    broken = SimpleNamespace(**{name: getattr(device, name) for name in dir(device) if not name.startswith("_")})
    broken.launch = launch
    with pytest.raises(GateError, match="mask differs"):
        measure_kernels(broken, [make_case()], PreprocessConfig(slice_shape=(16, 24)), copy_gb_per_s=10.0)
