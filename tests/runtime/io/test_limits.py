"""What no scan of a head has is refused, whatever it was read from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import nifti_cases

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Case, case_from_arrays
from ctpdeploy.runtime.io.limits import LIMITS, Limit, require_limits
from ctpdeploy.runtime.io.nifti_case import read_nifti_case

SERIES = nifti_cases.bolus_series()
MAPS = {name[3:].lower(): values.astype(np.float32) for name, values in nifti_cases.maps().items()}
HEAD = {"sizes": (9.0, 9.0, 6.0), "step": 1.0}

BAD = {
    "head of a mouse": ({"sizes": (0.9, 0.9, 6.0)}, "a field of view of 18 mm, where 80 to 500 mm are possible"),
    "narrow one way": ({"sizes": (9.0, 3.0, 6.0)}, "a field of view of 60 mm"),
    "giant": ({"sizes": (22.0, 9.0, 6.0)}, "a field of view of 528 mm"),
    "slices too close": ({"sizes": (9.0, 9.0, 0.15)}, "a distance between slices of 0.15 mm"),
    "slices far apart": ({"sizes": (9.0, 9.0, 30.1)}, "a voxel with a side of 30.1 mm|between slices of 30.1 mm"),
    "too fast": ({"step": 0.19}, "an interval between frames of 0.19 s, where 0.2 to 10 s are possible"),
    "too slow": ({"step": 10.1}, "an interval between frames of 10.1 s"),
    "too short": ({"step": 0.38}, "a time from the first frame to the last of 14.82 s, where 15 to 200 s are possible"),
}


def from_arrays(folder: Path, sizes: tuple[float, float, float], step: float) -> Case:
    del folder
    times = step * np.arange(nifti_cases.FRAMES)
    return case_from_arrays(SERIES.T, times, spacing=sizes[::-1], maps={name: m.T for name, m in MAPS.items()})


def from_files(folder: Path, sizes: tuple[float, float, float], step: float) -> Case:
    affine = np.diag([*sizes, 1.0])
    paths = {name: nifti_cases.save(folder / f"{name}.nii", values, affine=affine) for name, values in MAPS.items()}
    paths["ctp"] = nifti_cases.save(folder / "ctp.nii", SERIES, affine=affine)
    nifti_cases.patch(paths["ctp"], pixdim={4: step}, xyzt_units=2)
    return read_nifti_case("case", paths)


@pytest.mark.parametrize("read", [from_arrays, from_files])
@pytest.mark.parametrize("kind", BAD)
def test_what_no_scan_has_is_refused_in_a_sentence(tmp_path: Path, read: Callable[..., Case], kind: str):
    change, message = BAD[kind]
    assert read(tmp_path, **HEAD).findings == ()
    with pytest.raises(InputError, match=message) as refusal:
        read(tmp_path, **{**HEAD, **change})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.what)
def test_limits_themselves_are_possible_and_nothing_that_is_no_number(limit: Limit):
    assert limit.holds(limit.low)
    assert limit.holds(limit.high)
    for value in (0.99 * limit.low, 1.01 * limit.high, 0.0, -limit.high, np.nan, np.inf, -np.inf):
        assert not limit.holds(value)


def test_a_voxel_size_rounded_in_the_header_is_possible():
    require_limits("x", (8, 512, 512), (5.0, 0.977, 0.977), np.arange(40.0))


def test_frames_farther_apart_at_the_end_are_possible():
    require_limits("x", (8, 256, 256), (5.0, 0.8, 0.8), np.array([*range(40), 55.0, 70.0]))
