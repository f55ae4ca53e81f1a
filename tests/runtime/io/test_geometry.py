"""Results go back to the voxels they came from, whatever the affine of the file."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import isles2024_cases, nifti_cases

from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.report.writers import write_volume

FORMS = ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d")
FORMS += ("qoffset_x", "qoffset_y", "qoffset_z")


def write_study(folder: Path, affine: np.ndarray, *, sform: int, qform: int) -> dict[str, Path]:
    """A study of oblique files, with either form, both or none."""
    paths = {}
    for name, data in {"ctp": nifti_cases.bolus_series(), **isles2024_cases.maps(nifti_cases.SHAPE)}.items():
        image = nib.Nifti1Image(data, affine)
        image.set_sform(affine, code=sform)
        image.set_qform(affine, code=qform)
        image.header.set_xyzt_units("mm", "sec")
        paths[name] = folder / f"{name}.nii.gz"
        nib.save(image, paths[name])
    return paths


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 0), (0, 1), (1, 3)])
@pytest.mark.parametrize("degrees", [0.0, 18.0, 40.0])
@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PIR", "SAL"])
def test_a_volume_is_written_back_bit_for_bit(tmp_path: Path, codes: str, degrees: float, sform: int, qform: int):
    affine = isles2024_cases.oblique(codes, zooms=(9.0, 8.0, 27.0), degrees=degrees)
    paths = write_study(tmp_path, affine, sform=sform, qform=qform)
    case = read_nifti_case("oblique", paths)
    marked = np.arange(case.maps["tmax"].size, dtype=np.float32).reshape(case.maps["tmax"].shape)
    assert_array_equal(case.geometry.to_case(case.geometry.to_source(marked)), marked)
    write_volume(tmp_path / "mtt.out.nii.gz", case.maps["mtt"], case)
    assert_array_equal(nifti_cases.load(tmp_path / "mtt.out.nii.gz"), nifti_cases.load(paths["mtt"]))

    source, written = nib.load(paths["ctp"]), nib.load(tmp_path / "mtt.out.nii.gz")
    assert_array_equal(written.affine, source.affine)
    for field in FORMS:
        assert_array_equal(written.header[field], source.header[field])
    assert_array_equal(written.header["pixdim"][:4], source.header["pixdim"][:4])
    assert written.header.get_xyzt_units()[0] == source.header.get_xyzt_units()[0]


@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (0, 1)])
@pytest.mark.parametrize("codes", ["LPS", "RAS", "LAS", "PIR", "SAL"])
def test_the_case_has_the_closest_axes_and_their_voxel_size(tmp_path: Path, codes: str, sform: int, qform: int):
    """A voxel further along an axis of the case lies further right, to the front or up."""
    affine = isles2024_cases.oblique(codes, zooms=(9.0, 8.0, 27.0))
    case = read_nifti_case("oblique", write_study(tmp_path, affine, sform=sform, qform=qform))
    assert_allclose(case.geometry.affine, affine, atol=1e-3)
    world = np.indices(nifti_cases.SHAPE).transpose(1, 2, 3, 0) @ affine[:3, :3].T + affine[:3, 3]
    for axis, towards in {2: 0, 1: 1, 0: 2}.items():  # columns right, rows to the front, slices up
        coordinate = case.geometry.to_case(world[..., towards])
        step = np.diff(coordinate, axis=axis)
        assert_allclose(step, step.flat[0], rtol=1e-6)
        assert step.flat[0] > 0.7 * case.geometry.spacing[axis]
        assert step.flat[0] <= case.geometry.spacing[axis] * (1 + 1e-6)
