"""Voxels as nibabel reads them, in int16 or float32, and in no more memory than they need."""

import gzip
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.nifti import read_volume
from ctpdeploy.runtime.io.nifti_voxels import BLOCK

STORED = ["i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<i8", "<f4", ">f4", "<f8"]
SCALES = [(1.0, 0.0), (1.0, -1024.0), (1.0, 0.5), (0.1, 0.0), (2.0, -1000.0), (0.0, 7.0)]


def write(path: Path, data: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> Path:
    """Stored numbers as they are, and a header that scales them; nibabel would divide them first."""
    header = nib.Nifti1Header(endianness=data.dtype.byteorder if data.dtype.byteorder in "<>" else "<")
    header.set_data_dtype(data.dtype)
    header.set_data_shape(data.shape)
    header["scl_slope"], header["scl_inter"], header["vox_offset"], header["magic"] = slope, intercept, 352, b"n+1"
    content = header.binaryblock + bytes(4) + data.tobytes(order="F")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def as_nibabel_reads(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path, mmap=False).dataobj).astype(np.float32)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_numbers_are_those_that_nibabel_reads(tmp_path: Path, stored: str, scale: tuple[float, float], suffix: str):
    kind = np.dtype(stored)
    limits = np.iinfo(kind) if kind.kind in "iu" else None
    low, high = (max(limits.min, -2000), min(limits.max, 3000)) if limits else (-1e4, 1e4)
    data = np.random.default_rng(1).uniform(low, high, (7, 6, 5, 3)).astype(kind)
    path = write(tmp_path / f"x{suffix}", data, *scale)
    volume = read_volume(path)
    assert volume.data.dtype in (np.int16, np.float32)
    assert volume.data.flags.f_contiguous
    assert_array_equal(volume.data, as_nibabel_reads(path))
    small = kind.kind in "iu" and kind.itemsize <= 2
    assert (volume.data.dtype == np.int16) == (small and scale in [(1.0, 0.0), (1.0, -1024.0), (0.0, 7.0)])
    assert volume.counts == (kind.kind in "iu" and scale in [(1.0, 0.0), (0.0, 7.0)])


@pytest.mark.parametrize("intercept", [0.0, -1.0])
@pytest.mark.parametrize("place", [0, BLOCK - 1, BLOCK, 64 * 32 * 33 - 1])
def test_one_number_that_int16_does_not_hold_makes_the_volume_float(tmp_path: Path, place: int, intercept: float):
    data = np.arange(64 * 32 * 33, dtype=np.uint32).astype(np.uint16) % 1000
    assert BLOCK < data.size < 2 * BLOCK
    data[place] = 32769
    volume = read_volume(write(tmp_path / "x.nii", data.reshape(64, 32, 33, order="F"), 1.0, intercept))
    assert volume.data.dtype == np.float32
    assert_array_equal(volume.data.ravel(order="F"), data + np.float32(intercept))


def test_the_largest_and_smallest_of_int16_stay(tmp_path: Path):
    data = np.array([-32768, -1, 0, 32767], dtype=np.int16).reshape(2, 2, 1)
    assert_array_equal(read_volume(write(tmp_path / "x.nii", data)).data, data)
    below = read_volume(write(tmp_path / "y.nii", data, 1.0, -1.0)).data
    assert below.dtype == np.float32
    assert_array_equal(below, data.astype(np.float32) - 1)


@pytest.mark.parametrize("stored", ["<f4", ">f4", "<f8"])
def test_numbers_that_are_none_are_counted_wherever_they_are(tmp_path: Path, stored: str):
    data = np.ones((64, 32, 33), dtype=stored)
    data[0, 0, 0], data[-1, -1, -1], data[1, 2, 5] = np.nan, np.inf, -np.inf
    with pytest.raises(InputError, match="NaN or infinity in 3 voxels"):
        read_volume(write(tmp_path / "x.nii", data))


def test_large_numbers_are_no_infinity_unless_float32_cannot_hold_them(tmp_path: Path):
    large = np.full((4, 4, 4), 3e38)
    assert read_volume(write(tmp_path / "x.nii", large.astype(np.float32))).data.max() > 2e38
    large[0, 0, 0] = 1e39
    path = write(tmp_path / "y.nii", large)
    with pytest.raises(InputError, match="NaN or infinity in 1 voxels"):
        read_volume(path)


@pytest.mark.parametrize("missing", [1, 4, 3000])
def test_a_file_that_ends_early_is_refused(tmp_path: Path, missing: int):
    path = write(tmp_path / "x.nii", np.ones((10, 10, 10, 2), dtype=np.int16))
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(InputError, match=r"not a complete NIfTI file \(the file ends before the last voxel\)"):
        read_volume(path)


PEAK = """
import sys, tracemalloc
from pathlib import Path
from ctpdeploy.runtime.io.nifti import read_volume
tracemalloc.start()
for path in sorted(Path(sys.argv[1]).iterdir()):
    tracemalloc.reset_peak()
    data = read_volume(path).data
    print(path.name, data.dtype, tracemalloc.get_traced_memory()[1] / data.size)
    del data
"""


def test_a_series_takes_the_memory_of_its_voxels_alone(tmp_path: Path):
    """Bytes a voxel at the peak: those of the result, and little for the one block that is converted."""
    kinds = {
        "as stored, float": ("<f4", 1.0, 0.0, "float32"),
        "as stored, int": ("<i2", 1.0, 0.0, "int16"),
        "double": ("<f8", 1.0, 0.0, "float32"),
        "scaled": ("<i2", 0.5, -1024.0, "float32"),
        "shifted": ("<i2", 1.0, -1024.0, "int16"),
    }
    for name, (stored, slope, intercept, _) in kinds.items():
        for suffix in (".nii", ".nii.gz"):
            write(tmp_path / f"{name}{suffix}", np.zeros((128, 128, 8, 32), dtype=stored), slope, intercept)
    command = [sys.executable, "-c", PEAK, str(tmp_path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 2 * len(kinds)
    for line in lines:
        path, dtype, peak = line.rsplit(" ", 2)
        assert dtype == kinds[path.split(".")[0]][3]
        assert np.dtype(dtype).itemsize <= float(peak) < np.dtype(dtype).itemsize + 0.5, line
