"""The kernels for the processor: compiled, or refused in a sentence."""

import ctypes
from pathlib import Path

import pytest

from ctpdeploy.emulator.build import build_host_library
from ctpdeploy.errors import BackendError


def test_the_library_holds_the_kernels(host_library: Path):
    assert ctypes.CDLL(str(host_library))


def test_a_compiler_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(BackendError, match=r"no-such-compiler cannot be run .*: install it"):
        build_host_library(tmp_path / "kernels.so", compiler="no-such-compiler")
