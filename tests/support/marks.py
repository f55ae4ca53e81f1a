"""Reasons for which a test cannot run here."""

import pytest

from ctpdeploy.optional import available

needs_nilearn = pytest.mark.skipif(
    not available("nilearn"), reason="nilearn is not installed: install ctpdeploy with its extra mni"
)
