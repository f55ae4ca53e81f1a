"""Phantoms of another make: each changes what its name says, and one command writes it."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.marks import needs_nilearn

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode, UnknownKeyError
from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.variants import VARIANTS, vary

TINY = PhantomConfig(size=64, slices=8, frames=20)
EACH = [pytest.param(name, marks=needs_nilearn if name == "mni" else ()) for name in VARIANTS]


@pytest.mark.parametrize("name", EACH)
def test_a_variant_is_another_patient_with_the_same_stroke(name: str) -> None:
    usual, other = (make_patient(3, config) for config in (TINY, vary(TINY, name)))
    assert not np.array_equal(usual.series, other.series)
    if name not in ("healthy", "no-information-gap", "comorbid"):
        assert other.stroke == usual.stroke


def test_residues_differ_in_the_tissue_and_not_in_the_artery() -> None:
    usual, box = (make_patient(3, vary(TINY, name)) if name else make_patient(3, TINY) for name in ("", "box"))
    np.testing.assert_array_equal(usual.aif, box.aif)
    np.testing.assert_array_equal(usual.truth["cbf"], box.truth["cbf"])
    difference = np.abs(usual.series - box.series).max(axis=(0, 1))
    assert difference[usual.brain.any(axis=0)].max() > 1.0
    assert difference[0, 0] == 0.0


def test_an_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(UnknownKeyError, match=r"'helthy' in the phantom's variants: did you mean 'healthy'"):
        vary(TINY, "helthy")
    with pytest.raises(UnknownKeyError, match=r"'bx'"):
        PhantomConfig(residue="bx")  # type: ignore[arg-type]


def test_the_command_writes_a_variant(tmp_path: Path) -> None:
    arguments = ["phantom", str(tmp_path / "data"), "--cases", "1", "--size", "64", "--variant", "healthy"]
    assert run(arguments) == ExitCode.DONE
    truth = json.loads((tmp_path / "data" / "case_1" / "truth.json").read_text())
    assert truth["config"]["healthy"]
    assert truth["lesion_ml"] == 0.0
    assert run([*arguments[:-1], "helthy"]) == ExitCode.USAGE
