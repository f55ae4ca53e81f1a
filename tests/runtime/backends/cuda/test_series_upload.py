from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from ctpdeploy.runtime.backends.cuda import Workspace
from ctpdeploy.runtime.backends.cuda.series_upload import padded


@pytest.mark.parametrize("count", [1, 31, 33, 255, 257, 5000])
@pytest.mark.parametrize("backwards", [False, True])
def test_partial_sums_of_any_number_add_up(make_workspace: Callable[..., Workspace], count: int, backwards: bool):
    """As many blocks as no series of a test has: 5000 are 10 million voxels."""
    workspace = make_workspace(backwards=backwards)
    rng = np.random.default_rng(count)
    partials = np.stack([rng.integers(-(2**40), 2**40, count), rng.normal(0, 1e6, count)])
    sums = workspace.array("sums", (2,), np.float64)
    workspace.launch("frame_sums", (2, 1, 1), (workspace.sent("partials", partials), np.int32(count), sums))
    found = workspace.fetched("sums", sums)
    workspace.finish()
    assert found[0] == partials[0].sum()
    assert_allclose(found[1], partials[1].sum(), rtol=0, atol=1e-15 * np.abs(partials[1]).sum())


def test_rows_fill_whole_blocks():
    voxels = np.array([1, 2047, 2048, 2049, 32 * 256 * 256])
    assert_array_equal([padded(n) for n in voxels.tolist()], [2048, 2048, 2048, 4096, 32 * 256 * 256])
