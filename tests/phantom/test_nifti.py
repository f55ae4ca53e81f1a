"""Volumes on disk, against the headers that nibabel writes and the voxels that it reads."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from ctpdeploy.phantom.nifti import write_nifti
from ctpdeploy.runtime.data.origin import PHANTOM


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
def test_a_file_is_that_of_nibabel_to_the_byte(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    volume = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    write_nifti(tmp_path / "a.nii", volume, (5.5, 1.25, 1.5), 0.9)
    header = nib.Nifti1Header()
    header.set_data_dtype(dtype)
    header.set_data_shape(shape[::-1])
    header.set_zooms((1.5, 1.25, 5.5, 0.9)[: len(shape)])
    header["pixdim"][4] = 0.9
    header.set_sform(np.eye(4), code=2)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["descrip"] = f"{PHANTOM}: synthetic, no patient"
    assert (tmp_path / "a.nii").read_bytes() == header.binaryblock + bytes(4) + volume.tobytes()
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "a.nii").dataobj).T, volume)


def test_a_part_of_an_array_is_written_in_its_own_order(tmp_path: Path) -> None:
    volume = np.arange(120.0).reshape(4, 5, 6)[:, ::2, ::-1]
    write_nifti(tmp_path / "a.nii", volume, (1.0, 1.0, 1.0), 1.0)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "a.nii").dataobj).T, volume)
