"""Heads of either anatomy: tissues, shell, variety; the MNI atlas the right way round, or the extra that brings it."""

import numpy as np
import pytest
from support.marks import needs_nilearn

from ctpdeploy.errors import UnknownKeyError
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.anatomy import ANATOMIES, make_head
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.head import Head
from ctpdeploy.phantom.settings import PACKAGES

EACH = [pytest.param(name, marks=needs_nilearn if name == "mni" else ()) for name in ANATOMIES]

GRID = Grid.centred(size=96, slices=70, subslices=1, fov=240.0, thickness=2.5, bottom=-70.0, centre_y=-17.0)


def head_of(anatomy: str, seed: int = 0) -> Head:
    """The whole head, on voxels of 2.5 mm."""
    head, _ = make_head(GRID, np.random.default_rng(seed), anatomy)
    return head


def white_of(anatomy: str, seed: int) -> np.ndarray:
    """White matter in the whole field of view."""
    head, crop = make_head(GRID, np.random.default_rng(seed), anatomy)
    return crop.paste(head.white)


@pytest.fixture(scope="module", params=EACH)
def head(request: pytest.FixtureRequest) -> Head:
    return head_of(request.param)


def test_tissues_fill_the_brain_and_do_not_overlap(head: Head) -> None:
    tissues = head.grey.astype(int) + head.white + head.csf
    np.testing.assert_array_equal(tissues, head.depth > 0)
    assert head.x.shape == head.depth.shape == head.hu.shape == head.grid.shape
    assert {a.dtype for a in (head.x, head.y, head.z, head.depth, head.hu)} == {np.dtype(np.float32)}
    assert all(tissue.dtype == bool for tissue in (head.grey, head.white, head.csf))


def test_measures_are_those_of_a_brain(head: Head) -> None:
    """Intracranial volume of adults is 1385 +- 135 ml (doi:10.1007/s00276-010-0650-4); the grid reaches to -70 mm."""
    litres = np.prod(head.grid.spacing) / 1e6
    assert 1.2 < (head.depth > 0).sum() * litres < 1.55
    assert 0.7 < head.grey.sum() / head.white.sum() < 1.8
    assert 0.08 < head.csf.sum() / (head.depth > 0).sum() < 0.25
    assert 40 < head.depth.max() < 80


def test_the_brain_lies_in_bone_and_bone_in_scalp(head: Head) -> None:
    above = head.z > 15  # below, the neck fills what the head leaves
    for low, high, least, most in ((3.0, 5.5, 300, 1300), (15.0, 99.0, -1001, -999)):
        shell = above & (-head.depth > low) & (-head.depth < high)
        assert least < np.percentile(head.hu[shell], 2)
        assert np.percentile(head.hu[shell], 98) < most
    for tissue, least, most in ((head.csf, 7, 13), (head.white, 27, 31), (head.grey, 34, 39)):
        assert least < np.median(head.hu[tissue]) < most


@pytest.mark.parametrize("anatomy", EACH)
def test_every_seed_is_another_brain(anatomy: str) -> None:
    first, again, other = (white_of(anatomy, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert 0.3 < (first & other).sum() / (first | other).sum() < 0.85


@pytest.mark.parametrize("anatomy", EACH)
def test_patients_of_either_anatomy_are_alike(anatomy: str) -> None:
    """From here on nothing knows where the brain came from: a lesion, bright on DWI, in a plausible brain."""
    patient = make_patient(1, PhantomConfig(anatomy=anatomy, size=64, slices=8, frames=20))
    assert patient.lesion_ml >= 1.0
    healthy = (patient.truth["cbf"] > 1) & (patient.truth["core"] + patient.truth["old"] < 0.01)
    assert patient.dwi[patient.lesion].mean() > 1.15 * patient.dwi[healthy].mean()
    assert 0.2 < patient.brain.mean() < 0.6
    assert 15 < np.median(patient.maps["cbf"][patient.maps["cbf"] > 0]) < 45


@needs_nilearn
def test_the_anatomy_asked_for_is_the_one_drawn(golden: Patient) -> None:
    patient = make_patient(0, PhantomConfig(anatomy="mni", size=64, slices=2, frames=20))
    assert patient.stroke == golden.stroke
    assert 0.5 < np.corrcoef(patient.truth["cbf"].ravel(), golden.truth["cbf"].ravel())[0, 1] < 0.95


def test_an_unknown_anatomy_names_the_nearest() -> None:
    with pytest.raises(UnknownKeyError, match="'mmi' in the phantom's anatomies: did you mean 'mni'"):
        PhantomConfig(anatomy="mmi")


@pytest.mark.parametrize("anatomy", EACH)
def test_nothing_of_a_head_lies_outside_of_its_crop(anatomy: str) -> None:
    """Against heads made on the whole grid, to the voxel."""
    for seed in range(6):
        head, crop = make_head(GRID, np.random.default_rng(seed), anatomy)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ctpdeploy.phantom.anatomy.HEAD_SCALE", np.inf)
            whole, of_whole = make_head(GRID, np.random.default_rng(seed), anatomy)
        assert crop == of_whole
        np.testing.assert_allclose(head.hu, whole.hu, atol=0.01)


def test_every_anatomy_of_the_settings_can_be_drawn() -> None:
    assert set(ANATOMIES) == set(PACKAGES)
