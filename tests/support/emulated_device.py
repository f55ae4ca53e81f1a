"""Fixtures of the emulated GPU: its kernels compiled once, and workspaces on it.

The emulator is of a checkout alone: where a wheel is tested, nothing that takes these fixtures can run.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.runtime.backends.cuda import Workspace
from support.host_kernels import SANITIZED


@pytest.fixture(scope="session")
def host_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kernels for the CPU."""
    if SANITIZED in os.environ:
        return Path(os.environ[SANITIZED])
    if shutil.which("g++") is None:
        pytest.skip("There is no g++: the kernels cannot be compiled for the CPU.")
    from ctpdeploy.emulator.build import build_host_library

    library = tmp_path_factory.mktemp("kernels") / "kernels.so"
    build_host_library(library)
    return library


@pytest.fixture
def make_workspace(host_library: Path) -> Callable[..., Workspace]:
    """A workspace on the CPU."""
    from ctpdeploy.emulator.device import HostDevice

    return lambda seed=0, backwards=False: Workspace(HostDevice(host_library, seed=seed, backwards=backwards))


@pytest.fixture
def workspace(make_workspace: Callable[..., Workspace]) -> Workspace:
    return make_workspace()
