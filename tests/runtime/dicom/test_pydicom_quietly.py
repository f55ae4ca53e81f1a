"""pydicom is kept from quoting headers."""

import subprocess
import sys
from pathlib import Path

from support.dicom_images import head_series, image

READ = """
import os, sys
sys.path[:] = os.environ["TESTED"].split(os.pathsep)
from pathlib import Path
from ctpdeploy.runtime.dicom.header import pydicom_header
pydicom_header(Path(sys.argv[1]))
from ctpdeploy.runtime.dicom.pydicom_quietly import pydicom
print(pydicom().dcmread(sys.argv[1]).PatientID)
"""


def test_nothing_of_a_header_is_printed_or_logged(tmp_path: Path):
    data = image(head_series()[0, 0], (0, 0, 0), "x")
    data.save_as(tmp_path / "x", enforce_file_format=True)
    content = (tmp_path / "x").read_bytes()
    long = b"Doe^Jane" * 20  # no value of this kind is as long
    at = content.index(b"\x10\x00\x20\x00LO")
    (tmp_path / "x").write_bytes(
        content[:at] + b"\x10\x00\x20\x00LO" + len(long).to_bytes(2, "little") + long + content[at + 12 :]
    )
    command = [sys.executable, "-c", READ, str(tmp_path / "x")]
    done = subprocess.run(command, env={"TESTED": ":".join(sys.path)}, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Doe")
    assert done.stderr == ""
