"""Results go back to the voxels they came from, whatever the affine of the file."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from support import isles2024_cases, nifti_cases

from ctpdeploy.runtime.data.geometry import Geometry
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


@pytest.mark.parametrize(
    ("slices", "thickness", "least", "slabs"),
    [
        (320, 0.5, 4.0, (8,) * 40),
        (16, 2.0, 4.0, (2,) * 8),
        (9, 2.5, 4.0, (2, 2, 2, 2, 1)),
        (5, 3.0, 4.0, (2, 2, 1)),
        (2, 1.0, 4.0, (2,)),
        (1, 0.6, 4.0, None),
        (22, 4.0, 4.0, None),
        (8, 5.0, 4.0, None),
        (40, 1.0, 0.0, None),
    ],
)
def test_thin_slices_are_averaged_to_slabs_no_thinner(
    slices: int, thickness: float, least: float, slabs: tuple[int, ...] | None
):
    thin = Geometry.of_affine(np.diag([-1.0, -1.0, -thickness, 1.0]), (6, 5, slices))
    thick = thin.in_slabs(least)
    if slabs is None:
        assert thick is thin
        return
    assert thick.slabs is not None
    assert sum(thick.slabs) == slices
    assert max(thick.slabs) - min(thick.slabs) <= 1
    assert thick.spacing[0] == pytest.approx(thickness * slices / len(thick.slabs))
    assert thick.spacing[0] >= min(least, thickness * slices) - 1e-9


@pytest.mark.parametrize("flip", [1, -1])
def test_slabs_average_images_vote_on_masks_and_are_written_back_slice_by_slice(flip: int):
    thin = Geometry.of_affine(np.diag([-1.0, -1.0, flip * 1.5, 1.0]), (4, 3, 7))
    thick = thin.in_slabs(4.0)
    assert thick.slabs == (4, 3)
    volume = np.random.default_rng(1).integers(-1000, 1000, (4, 3, 7, 2)).astype(np.int16)
    upright = thin.to_case(volume)
    found = thick.to_case(volume)
    assert found.dtype == np.float32
    assert_allclose(found, np.stack([upright[:, :4].mean(axis=1), upright[:, 4:].mean(axis=1)], axis=1), rtol=1e-6)
    lesion = volume[..., 0] > 0
    votes = thin.to_case(lesion)
    expected = np.stack([votes[:4].mean(axis=0) >= 0.5, votes[4:].mean(axis=0) >= 0.5])
    assert_array_equal(thick.to_case(lesion), expected)
    back = thick.to_source(expected)
    assert back.shape == thin.shape
    assert_array_equal(thin.to_case(back), np.repeat(expected, (4, 3), axis=0))
    assert thick.volume_ml(expected) == pytest.approx(thin.volume_ml(thin.to_case(back)))
    assert thick.source_voxel_ml == pytest.approx(thin.voxel_ml)
