"""What tells a phantom, and a scan from another."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from support.nifti_cases import find

from ctpdeploy.phantom import PhantomConfig, write_dataset
from ctpdeploy.phantom.dicom import LAYOUTS
from ctpdeploy.runtime import find_cases, read_case
from ctpdeploy.runtime.data.origin import fingerprint, kind_of


def test_a_phantom_says_so_in_nifti_until_a_tool_drops_it(tmp_path: Path):
    (folder,) = write_dataset(tmp_path, cases=1, config=PhantomConfig(size=64, slices=2, frames=20))
    assert (read_case(folder).kind, read_case(folder).maker) == ("phantom", "")
    series = find(folder, "CT_4DPWI")
    written = nib.load(series, mmap=False)
    voxels, kept = np.asarray(written.dataobj), written.header["descrip"]
    for kind in (nib.Nifti1Image, nib.Nifti2Image):
        image = kind(voxels, written.affine)
        image.header.set_zooms(written.header.get_zooms())
        image.header["descrip"] = kept
        nib.save(image, series)
        assert read_case(folder).kind == "phantom"
    image.header["descrip"] = b"FSL5.0"
    nib.save(image, series)
    assert read_case(folder).kind == "unknown"


@pytest.mark.parametrize("layout", sorted(LAYOUTS)[:2])
def test_a_phantom_says_so_in_dicom_beside_its_maker(tmp_path: Path, layout: str):
    write_dataset(tmp_path, cases=1, config=PhantomConfig(size=64, slices=4, frames=20), layout=layout)
    case = find_cases(tmp_path)[0].read()
    assert (case.kind, case.maker) == ("phantom", LAYOUTS[layout].maker.manufacturer)


def test_words_elsewhere_are_no_mark():
    assert [kind_of(words) for words in ("", "a ctpdeploy phantom", "ctpdeploy phantom: x")] == [
        *("unknown", "unknown", "phantom")
    ]


def test_the_fingerprint_is_of_the_content():
    series = np.random.default_rng(3).integers(-1000, 2000, (5, 2, 8, 8)).astype(np.int16)
    own = fingerprint(series)
    assert own == fingerprint(series.astype(np.float32)) == fingerprint(np.asfortranarray(series) + np.float32(0.2))
    assert len(own) == 16
    for frame in (0, 2, 4):
        other = series.copy()
        other[frame, 1, 3, 3] += 1
        assert fingerprint(other) != own
    assert fingerprint(series.reshape(5, 2, 4, 16)) != own
    assert fingerprint(series[:4]) != own
