"""Heads of either anatomy: tissues, shell, variety; the MNI atlas the right way round, or the pip command."""

import sys
from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, MissingPackageError, UnknownKeyError
from ctpdeploy.optional import available
from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.anatomy import ANATOMIES, make_head
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.head import Head
from ctpdeploy.phantom.mni import mni_brain

needs_nilearn = pytest.mark.skipif(
    not available("nilearn"), reason="nilearn is not installed: pip install 'ctpdeploy[mni]'"
)
EACH = [pytest.param(name, marks=needs_nilearn if name == "mni" else ()) for name in ANATOMIES]


def head_of(anatomy: str, seed: int = 0) -> Head:
    """The whole head, on voxels of about 2.5 mm."""
    grid = Grid.centred(size=96, slices=70, subslices=1, fov=240.0, thickness=2.5, bottom=-70.0, centre_y=-17.0)
    return make_head(grid, np.random.default_rng(seed), anatomy)


@pytest.fixture(scope="module", params=EACH)
def head(request: pytest.FixtureRequest) -> Head:
    return head_of(request.param)


def test_tissues_fill_the_brain_and_do_not_overlap(head: Head) -> None:
    tissues = head.grey.astype(int) + head.white + head.csf
    np.testing.assert_array_equal(tissues, head.depth > 0)
    assert head.x.shape == head.depth.shape == head.hu.shape == (70, 96, 96)
    assert {a.dtype for a in (head.x, head.y, head.z, head.depth, head.hu)} == {np.dtype(np.float32)}
    assert all(tissue.dtype == bool for tissue in (head.grey, head.white, head.csf))


def test_measures_are_those_of_a_brain(head: Head) -> None:
    """The ICBM 152 brain with its fluid takes up 1.9 litres, more than most; here it reaches to -70 mm."""
    litres = np.prod(head.grid.spacing) / 1e6
    assert 1.6 < (head.depth > 0).sum() * litres < 2.1
    assert 0.7 < head.grey.sum() / head.white.sum() < 1.8
    assert 0.08 < head.csf.sum() / (head.depth > 0).sum() < 0.25
    assert 45 < head.depth.max() < 80


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
    first, again, other = (head_of(anatomy, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.hu, again.hu)
    either = first.white | other.white
    assert 0.3 < (first.white & other.white).sum() / either.sum() < 0.85


@pytest.mark.parametrize("anatomy", EACH)
def test_patients_of_either_anatomy_are_alike(anatomy: str) -> None:
    """From here on nothing knows where the brain came from: a lesion, bright on DWI, in a plausible brain."""
    patient = make_patient(1, PhantomConfig(anatomy=anatomy, size=64, slices=2, frames=20))
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


@needs_nilearn
@pytest.mark.parametrize(
    ("name", "point", "tissue"),
    [
        ("left frontal horn", (-7, 20, 4), "csf"),
        ("right frontal horn", (7, 20, 4), "csf"),
        ("genu of the corpus callosum", (0, 29, 5), "white"),
        ("splenium of the corpus callosum", (0, -38, 12), "white"),
        ("thalamus", (10, -16, 8), "grey"),
        ("putamen", (-27, 4, 2), "grey"),
        ("internal capsule", (22, -14, 10), "white"),
        ("cerebellum", (-30, -66, -40), "grey"),
        ("centrum semiovale", (26, -12, 34), "white"),
        ("temporal pole", (40, 12, -32), "grey"),
    ],
)
def test_the_atlas_is_the_right_way_round(name: str, point: tuple[int, int, int], tissue: str) -> None:
    """Landmarks of the MNI space, by most voxels within 2 mm."""
    x, y, z = (centre + np.arange(-2.0, 2.5) for centre in point)
    grid = Grid(z=z, y=y, x=x, subslices=1, spacing=(1.0, 1.0, 1.0))
    zs, ys, xs = (axis.astype(np.float32) for axis in np.meshgrid(z, y, x, indexing="ij"))
    brain = mni_brain((xs, ys, zs), grid, np.random.default_rng(0))
    shares = {part: getattr(brain, part).mean() for part in ("grey", "white", "csf")}
    assert max(shares, key=lambda part: shares[part]) == tissue, f"{name}: {shares}"


def test_an_unknown_anatomy_names_the_nearest() -> None:
    with pytest.raises(UnknownKeyError, match="'mmi' in the phantom's anatomies: did you mean 'mni'"):
        PhantomConfig(anatomy="mmi")


def test_without_nilearn_the_atlas_ends_in_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(MissingPackageError):
        PhantomConfig(anatomy="mni")
    arguments = ["phantom", str(tmp_path / "data"), "--cases", "2", "--size", "64"]
    assert run([*arguments, "--anatomy", "mni"]) == ExitCode.BACKEND
    assert "pip install 'ctpdeploy[mni]'" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    PhantomConfig()


def test_the_procedural_patient_of_a_seed_stays_the_same(golden: Patient) -> None:
    """Numbers of version 0.1.0: who changes them changes every data set that was made from a seed."""
    places = [(1, 20, 30), (1, 40, 40), (0, 25, 20), (0, 33, 45)]
    expected = {
        "first": [28.0748, 13.6732, 23.7366, 33.0482],
        "peak": [32.9943, 21.3355, 24.8371, 43.0124],
        "ct": [29, 15, 26, 34],
        "cbf": [16, 31, 33, 34],
        "tmax": [6, 1.5, 10.5, 4],
        "dwi": [106.5144, 64.8665, 104.6471, 134.0103],
    }
    volumes = {"first": golden.series[0], "peak": golden.series[9], "ct": golden.ct, "dwi": golden.dwi, **golden.maps}
    for name, values in expected.items():
        np.testing.assert_allclose([volumes[name][place] for place in places], values, rtol=1e-4, err_msg=name)
    assert (golden.stroke.site, golden.lesion.sum()) == ("ICA-T", 153)


@pytest.fixture(scope="module")
def golden() -> Patient:
    return make_patient(0, PhantomConfig(size=64, slices=2, frames=20))
