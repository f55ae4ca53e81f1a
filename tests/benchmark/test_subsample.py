from dataclasses import replace
from pathlib import Path

import numpy as np
from support.nifti_cases import only_case

from ctpdeploy.benchmark.subsample import middle_slices, write_every_nth_frame
from ctpdeploy.runtime import Case, read_case
from ctpdeploy.runtime.data.case import MAP_NAMES


def test_slices_are_taken_from_the_middle(phantom_case: Case):
    order = [0, 1, 1, 0, 1]
    case = replace(
        phantom_case,
        series=phantom_case.series[:, order],
        maps={name: values[order] for name, values in phantom_case.maps.items()},
        dwi=phantom_case.dwi[order],
        lesion=phantom_case.lesion[order],
    )
    cut = middle_slices(case, 3)
    np.testing.assert_array_equal(cut.series, phantom_case.series[:, [1, 1, 0]])
    for name in MAP_NAMES:
        np.testing.assert_array_equal(cut.maps[name], phantom_case.maps[name][[1, 1, 0]])
    np.testing.assert_array_equal(cut.dwi, phantom_case.dwi[[1, 1, 0]])
    np.testing.assert_array_equal(cut.lesion, phantom_case.lesion[[1, 1, 0]])
    assert middle_slices(phantom_case, 2).series.shape == phantom_case.series.shape


def test_frames_are_thinned_and_all_else_stays(phantom_folder: Path, phantom_case: Case, tmp_path: Path):
    thinned = read_case(write_every_nth_frame(only_case(phantom_folder / "case_1"), 4, tmp_path / "thinned"))
    np.testing.assert_array_equal(thinned.series, phantom_case.series[::4])
    np.testing.assert_allclose(thinned.times, phantom_case.times[::4], rtol=1e-6)
    np.testing.assert_array_equal(thinned.maps["tmax"], phantom_case.maps["tmax"])
    assert thinned.geometry.spacing == phantom_case.geometry.spacing
