"""Without kernels there is nothing to test; that they are there where they can be, one test says."""

import pytest

from ctpdeploy.runtime.backends.native.library import unavailable_because


@pytest.fixture(autouse=True)
def _kernels(request: pytest.FixtureRequest):
    reason = unavailable_because()
    if reason is not None and request.node.name != "test_the_library_fits_its_source":
        pytest.skip(reason)
