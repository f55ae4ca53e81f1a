"""The raw case comes back as it went, alone or with its reference, and a damaged one is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ctpdeploy.errors import InputError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.gate.reference import FILE, raw_case_in


@pytest.fixture
def folder(tmp_path: Path, bundle_folder: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "small.ctpbundle"))


def test_its_slices_are_the_last_of_the_reference(folder: Path):
    arrays = load_file(folder / FILE)
    with Bundle.open(folder) as bundle:
        raw = raw_case_in(bundle)
    assert raw is not None
    assert raw.slices == 2
    np.testing.assert_array_equal(raw.expected.frames, arrays["frames"][-2:])
    np.testing.assert_array_equal(raw.expected.features, arrays["features"][-2:])
    for name, array in raw.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


DAMAGE: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray | None], str]] = {
    "no maps": ("raw/maps", lambda _: None, "its raw case has no maps"),
    "no DWI": ("raw/dwi", lambda _: None, "its raw case has no dwi"),
    "one frame": ("raw/series", lambda a: a[:1], "its series of the raw case has the shape"),
    "more slices than there are": ("raw/series", lambda a: a.repeat(9, axis=1), "of the raw case are float32"),
    "another type": ("raw/series", lambda a: a.astype(np.int32), "its series of the raw case are int32"),
    "NaN": ("raw/maps", lambda a: a * np.float32(np.nan), "or not finite"),
    "time backwards": ("raw/times", lambda a: np.ascontiguousarray(a[::-1]), "times that do not ascend"),
    "voxels of no size": ("raw/spacing", lambda a: 0 * a, "voxels of no size"),
    "a DWI of another size": ("raw/dwi", lambda a: a[..., :-1].copy(), "its dwi of the raw case are float32"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_refused_in_a_sentence(folder: Path, damage: str):
    name, change, message = DAMAGE[damage]
    with Bundle.open(folder) as bundle:
        arrays = load_file(folder / FILE)
        arrays[name] = change(arrays[name])
        save_file({key: array for key, array in arrays.items() if array is not None}, folder / FILE)
        with pytest.raises(InputError, match=rf"reference\.safetensors is damaged \(.*{message}"):
            raw_case_in(bundle)
