from pathlib import Path

import numpy as np

from ctpdeploy.benchmark.cut import middle_slices, write_every_nth_frame
from ctpdeploy.runtime import Case, read_case
from ctpdeploy.runtime.case import MAP_NAMES


def test_slices_are_taken_from_the_middle(phantom_case: Case):
    case = middle_slices(phantom_case, 1)
    np.testing.assert_array_equal(case.series, phantom_case.series[:, :1])
    for name in MAP_NAMES:
        np.testing.assert_array_equal(case.maps[name], phantom_case.maps[name][:1])
    assert case.dwi.shape == case.lesion.shape == case.series.shape[1:]
    assert middle_slices(phantom_case, 2).series.shape == phantom_case.series.shape


def test_frames_are_thinned_and_all_else_stays(phantom_folder: Path, phantom_case: Case, tmp_path: Path):
    thinned = read_case(write_every_nth_frame(phantom_folder / "case_1", 4, tmp_path / "thinned"))
    np.testing.assert_array_equal(thinned.series, phantom_case.series[::4])
    np.testing.assert_array_equal(thinned.maps["tmax"], phantom_case.maps["tmax"])
    assert thinned.geometry.spacing == phantom_case.geometry.spacing
