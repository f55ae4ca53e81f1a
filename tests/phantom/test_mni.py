"""Brains from the MNI atlas."""

import sys
from pathlib import Path

import numpy as np
import pytest
from support.marks import needs_nilearn

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, MissingPackageError
from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.mni import mni_brain


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


def test_without_nilearn_the_atlas_ends_in_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nilearn", None)
    with pytest.raises(MissingPackageError):
        PhantomConfig(anatomy="mni")
    arguments = ["phantom", str(tmp_path / "data"), "--cases", "2", "--size", "64"]
    assert run([*arguments, "--anatomy", "mni"]) == ExitCode.BACKEND
    assert "install ctpdeploy with its extra mni" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
    PhantomConfig()
