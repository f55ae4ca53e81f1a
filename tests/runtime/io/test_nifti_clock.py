"""The interval between frames, and who stated it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support import nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.io.nifti_case import read_nifti_case
from ctpdeploy.runtime.io.nifti_clock import Clock

STATED = {
    # number, code of xyzt_units: seconds, source, findings
    (1.5, 0): (1.5, "pixdim", ()),
    (1500.0, 0): (1.5, "pixdim", ()),
    (1.5, 8): (1.5, "xyzt_units", ()),
    (1500.0, 16): (1.5, "xyzt_units", ()),
    (1.5e6, 24): (1.5, "xyzt_units", ()),
    (1500.0, 8): (1.5, "pixdim", ("interval-unit-contradicts",)),
    (1.5, 16): (1.5, "pixdim", ("interval-unit-contradicts",)),
    (1.5, 24): (1.5, "pixdim", ("interval-unit-contradicts",)),
    (1.5, 32): (1.5, "pixdim", ("interval-unit-contradicts",)),
    (1.5, 64): (1.5, "pixdim", ("interval-unit-contradicts",)),
    (0.0, 8): (1.0, "assumed", ("interval-assumed",)),
    (-1.5, 0): (1.0, "assumed", ("interval-assumed",)),
    (np.nan, 16): (1.0, "assumed", ("interval-assumed",)),
    (np.inf, 0): (1.0, "assumed", ("interval-assumed",)),
    (50.0, 0): (50.0, "pixdim", ()),  # and refused
    (50.0, 16): (0.05, "xyzt_units", ()),
    (1e-30, 8): (1e-30, "xyzt_units", ()),
}


@pytest.mark.parametrize("stated", STATED)
def test_a_number_is_taken_in_its_unit_or_in_the_one_in_which_it_is_possible(stated: tuple[float, int]):
    interval = Clock(step=stated[0], unit=stated[1]).interval()
    seconds, source, codes = STATED[stated]
    assert_allclose(interval.seconds, seconds)
    assert interval.source == source
    assert tuple(found.code for found in interval.findings) == codes


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return nifti_cases.write_isles(tmp_path / "case_7")


@pytest.mark.parametrize("step", [1e-30, 1e-10, 0.05, 50.0, 1e9, 1e30])
def test_an_interval_that_is_none_in_any_unit_is_refused_before_anything_is_made_of_it(case: Path, step: float):
    nifti_cases.patch(nifti_cases.find(case, "CT_4DPWI"), pixdim={4: step})
    with pytest.raises(InputError, match=r"CT_4DPWI.* has an interval between frames .* --frame-interval"):
        read_case(case)


@pytest.mark.parametrize("step", [0.0, 1e-30, 1e30, np.nan, 1.5])
def test_an_interval_that_is_given_overrules_the_header(case: Path, step: float):
    nifti_cases.patch(nifti_cases.find(case, "CT_4DPWI"), pixdim={4: step})
    found = read_case(case, frame_interval=2.0)
    assert_allclose(found.times, 2.0 * np.arange(nifti_cases.FRAMES))
    assert (found.frame_interval, found.interval_source) == (2.0, "frame_interval")
    assert {each.code for each in found.findings} <= {"bolus-unusual", "durations-contradict"}  # 2 s are not the truth
    assert read_nifti_case("x", nifti_cases.files_of(case), frame_interval=3.0).frame_interval == 3.0


@pytest.mark.parametrize("given", [0.1, 11.0, 0.0, -1.0, np.nan, np.inf])
def test_an_interval_that_is_given_has_the_same_limits(case: Path, given: float):
    with pytest.raises(InputError, match="an interval between frames of"):
        read_case(case, frame_interval=given)


def test_the_step_is_that_of_the_axis_of_time(case: Path):
    path = nifti_cases.find(case, "CT_4DPWI")
    zooms = (9.0, 9.0, 6.0, 7.0, 1.25)
    nifti_cases.save(path, nifti_cases.bolus_series()[:, :, :, None], zooms=zooms)
    assert read_case(case).frame_interval == 1.25
