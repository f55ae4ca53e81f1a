"""Packages that may be missing."""

import pytest

from ctpdeploy.errors import MissingPackageError
from ctpdeploy.optional import available, require


def test_a_missing_package_ends_in_the_command_that_installs_it():
    with pytest.raises(MissingPackageError, match=r"pip install 'ctpdeploy\[cuda\]'"):
        require("no_such_package_here", extra="cuda")
    assert not available("no_such_package_here")
