"""Compressed files with igzip and without it: the same verdict on every file, the same numbers."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctpdeploy.runtime.io.compression import IGZIP, gzip_bytes, open_gzip

READ = """
import hashlib, json, sys
from pathlib import Path
if sys.argv[1] == "without":
    sys.modules["isal"] = None  # as if it were not installed
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.compression import IGZIP, gzip_bytes
from ctpdeploy.runtime.io.nifti import read_volume
found = {"igzip": IGZIP, "written": gzip_bytes(bytes(range(256)) * 999).hex()}
for path in sorted(Path(sys.argv[2]).iterdir()):
    try:
        found[path.name] = hashlib.sha256(read_volume(path).data.tobytes(order="F")).hexdigest()
    except InputError as error:
        found[path.name] = str(error)
print(json.dumps(found))
"""

REFUSED = {"half", "no-trailer", "checksum", "length", "bits", "garbage", "second-half", "empty", "text"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One volume, compressed in every way that is right, and in many that are not."""
    folder = tmp_path_factory.mktemp("files")
    data = np.random.default_rng(0).integers(-50, 200, (40, 41, 12, 3)).astype(np.int16)
    content = nib.Nifti1Image(data, np.diag([1.0, 1.0, 5.0, 1.0])).to_bytes()
    packed = gzip.compress(content, 6, mtime=0)
    cut = len(content) // 3
    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0x10
    made = {
        "plain": packed,
        "fast": gzip.compress(content, 1),
        "stored": gzip.compress(content, 0),
        "members": b"".join(gzip.compress(content[i : i + cut]) for i in range(0, len(content), cut)),
        "padded": packed + bytes(700),
        "half": packed[: len(packed) // 2],
        "no-trailer": packed[:-8],
        "checksum": packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:],
        "length": packed[:-4] + bytes([packed[-4] ^ 1]) + packed[-3:],
        "bits": bytes(flipped),
        "garbage": packed + b"not gzip at all",
        "second-half": gzip.compress(content[:cut]) + gzip.compress(content[cut:])[:-30],
        "empty": b"",
        "text": b"this is not compressed\n" * 99,
    }
    for name, written in made.items():
        (folder / f"{name}.nii.gz").write_bytes(written)
    (folder / "uncompressed.nii").write_bytes(content)
    return folder


def read_all(folder: Path, isal: str) -> dict[str, str]:
    command = [sys.executable, "-c", READ, isal, str(folder)]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


@pytest.mark.parametrize("isal", ["with", "without"])
def test_whole_files_are_read_and_damaged_ones_refused(files: Path, isal: str):
    found = read_all(files, isal)
    assert found.pop("igzip") == (isal == "with" and IGZIP)
    assert gzip.decompress(bytes.fromhex(found.pop("written"))) == bytes(range(256)) * 999
    right = found.pop("uncompressed.nii")
    assert len(right) == 64
    for name, verdict in found.items():
        kind = name.removesuffix(".nii.gz")
        if kind in REFUSED:
            assert f"{name} is not a complete NIfTI file (" in verdict
            assert verdict.endswith("): copy or convert it again.")
            assert "\n" not in verdict
        else:
            assert verdict == right, kind


def test_what_is_written_has_no_date_and_is_read_by_everyone(tmp_path: Path):
    content = np.random.default_rng(0).normal(size=50_000).astype(np.float32).tobytes()
    packed = gzip_bytes(content)
    assert packed == gzip_bytes(content)
    assert packed[4:8] == bytes(4)
    assert gzip.decompress(packed) == content
    (tmp_path / "x.gz").write_bytes(packed)
    with open_gzip(tmp_path / "x.gz") as stream:
        assert stream.read() == content
