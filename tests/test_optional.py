"""Packages that may be missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctpdeploy.errors import MissingPackageError
from ctpdeploy.optional import available, require


def test_a_missing_package_ends_in_the_command_that_installs_it():
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra cuda"):
        require("no_such_package_here", extra="cuda")
    assert not available("no_such_package_here")


USE = """
import sys
sys.modules["requests"] = None  # of developers: pydicom imports it where it is, and it looks for IPv6
calls = []
# urllib3 makes and binds a socket when it is imported, to see whether there is IPv6: nobody hears of that
alone = ("socket.__new__", "socket.bind")
sys.addaudithook(lambda event, _: calls.append(event) if event.startswith("socket.") and event not in alone else None)
import ctpdeploy
from ctpdeploy.optional import require
if sys.argv[1] == "openvino":
    require("openvino", extra="openvino").Core().get_property("CPU", "FULL_DEVICE_NAME")
else:
    from ctpdeploy.runtime.backends.ort_cpu import open_session
    open_session(open(sys.argv[2], "rb").read(), "network")
print(calls)
"""


@pytest.mark.parametrize("package", ["onnxruntime", "openvino"])
def test_packages_do_not_report_to_their_makers(package: str, bundle_folder: Path, tmp_path: Path):
    network = next(bundle_folder.glob("*.onnx"))
    home = {"HOME": f"{tmp_path}", "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", USE, package, str(network)]
    used = subprocess.run(command, env=home, capture_output=True, text=True, check=True)
    assert used.stdout == "[]\n", "nobody was called"
    assert list(tmp_path.iterdir()) == [], "no id of the machine was kept"
