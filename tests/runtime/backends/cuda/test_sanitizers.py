"""The kernels once more under AddressSanitizer and UndefinedBehaviorSanitizer: these tests, in another process."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.host_kernels import SANITIZED

from ctpdeploy.emulator.build import build_host_library
from ctpdeploy.errors import BackendError

FOLDER = Path(__file__).parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def preload() -> str:
    """The sanitizers' own libraries, which must be loaded before all others."""
    if SANITIZED in os.environ:
        pytest.skip("This is the process under the sanitizers.")
    if shutil.which("g++") is None:
        pytest.skip("There is no g++: the kernels cannot be compiled for the CPU.")
    found = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(path).is_absolute() for path in found):
        pytest.skip("g++ has no sanitizers here: install libasan and libubsan.")
    return " ".join(found)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory, preload: str) -> dict[str, str]:
    """The environment of a process that runs the kernels under sanitizers."""
    library = tmp_path_factory.mktemp("sanitized") / "kernels.so"
    try:
        build_host_library(library, sanitize=True)
    except BackendError as error:
        pytest.skip(f"g++ does not compile with sanitizers: {error}")
    # Python keeps memory to its end, which is no leak of ours
    return {
        **os.environ,
        "LD_PRELOAD": preload,
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
        SANITIZED: str(library),
    }


def test_no_access_out_of_bounds_and_nothing_undefined(sanitized: dict[str, str]):
    nouns = ("preprocessing", "series_upload", "order_statistics", "postprocessing", "engine")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not phantom"]
    done = subprocess.run(
        [*command, *(str(FOLDER / f"test_{noun}.py") for noun in nouns)],
        env=sanitized,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_sanitizers_are_awake(sanitized: dict[str, str]):
    """One number too many is read, and that ends the process."""
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from ctpdeploy.runtime.backends.cuda import Workspace\n"
        "from ctpdeploy.emulator.device import HostDevice\n"
        "workspace = Workspace(HostDevice(Path(sys.argv[1])))\n"
        "numbers = workspace.sent('numbers', np.zeros(100, dtype=np.float32))\n"
        "mask = workspace.array('mask', (101,), np.uint8)\n"
        "workspace.launch('mask_above', (1, 1, 1), (numbers, np.int64(101), np.float32(0.5), mask))\n"
        "workspace.finish()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sanitized[SANITIZED]], env=sanitized, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
    assert "mask_above" in done.stderr
