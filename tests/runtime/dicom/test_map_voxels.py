"""Values of maps: paddings, ends of scales, numbers that are none."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from support.map_studies import NUMBERS, files_of, patient, write_patient

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.choice import choose_scans
from ctpdeploy.runtime.dicom.map_choice import Candidate, choose_maps
from ctpdeploy.runtime.dicom.map_voxels import read_map
from ctpdeploy.runtime.dicom.study import find_studies


def tmax_of(folder: Path) -> Candidate:
    (study,) = find_studies(sorted(path for path in folder.rglob("*") if path.is_file()))
    (choice,) = choose_maps(study, choose_scans(study))
    return choice.taken["tmax"]


def edited(tmp_path: Path, change: object, layout: str = "one-series") -> np.ndarray:
    """Tmax as it is read of a study of which one file of Tmax was changed."""
    write_patient(tmp_path / "study", layout)
    path = files_of(tmp_path / "study", NUMBERS["tmax"])[0]
    data = pydicom.dcmread(path)
    change(data)  # type: ignore[operator]
    data.save_as(path)
    return read_map(tmax_of(tmp_path / "study").images, "Tmax of series 604")


def floats(value: float, padding: float | None = None) -> object:
    """An edit that puts a number into the first pixel, and perhaps says that it is none."""

    def change(data: pydicom.Dataset) -> None:
        numbers = np.frombuffer(data.FloatPixelData, "<f4").copy()
        numbers[0] = value
        data.FloatPixelData = numbers.tobytes()
        if padding is not None:
            data.FloatPixelPaddingValue = padding

    return change


@pytest.mark.parametrize("value", [np.nan, -7.0])
def test_a_padding_in_floating_point_holds_no_value(tmp_path: Path, value: float):
    found = edited(tmp_path, floats(value, value), "enhanced")
    expected = patient()[1]["tmax"].copy()
    expected[0, 0, 0] = 0.0
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(tmp_path: Path, value: float):
    with pytest.raises(InputError, match="Tmax of series 604 holds NaN or infinity, and states no such padding"):
        edited(tmp_path, floats(value), "enhanced")


def scaled(**elements: float) -> object:
    """An edit of the mapping."""

    def change(data: pydicom.Dataset) -> None:
        for keyword, value in elements.items():
            setattr(data.RealWorldValueMappingSequence[0], keyword, value)

    return change


def test_a_background_below_a_scale_holds_no_value(tmp_path: Path):
    found = edited(tmp_path, scaled(RealWorldValueFirstValueMapped=1, RealWorldValueIntercept=1.0))
    tmax = patient()[1]["tmax"][0]
    low = np.rint(100 * tmax) < 1
    assert not found[0][low].any()
    np.testing.assert_allclose(found[0][~low], tmax[~low] + 1.0, atol=0.0051)


def test_numbers_that_a_scale_is_not_of_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"Tmax of series 604 holds \d+ numbers below 300, from which on its values"):
        edited(tmp_path / "a", scaled(RealWorldValueFirstValueMapped=300))
    with pytest.raises(InputError, match=r"Tmax of series 604 holds \d+, and its values are stated up to 50 only"):
        edited(tmp_path / "b", scaled(RealWorldValueLastValueMapped=50))


def test_a_padding_of_whole_numbers_holds_no_value(tmp_path: Path):
    number = int(np.rint(100 * patient()[1]["tmax"][0].max()))
    found = edited(tmp_path, lambda data: data.add_new(0x00280120, "US", number))
    assert found[0].max() < number / 100 - 0.005


def test_pixels_that_cannot_be_read_are_said(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    images = tmax_of(tmp_path / "study").images
    content = images[0].plane.file.read_bytes()
    images[0].plane.file.write_bytes(content[:-100])  # type: ignore[union-attr]
    with pytest.raises(InputError, match=r"The pixels of .* cannot be read"):
        read_map(images, "Tmax")


def test_numbers_of_more_bits_than_stated_are_refused(tmp_path: Path):
    def tenfold(data: pydicom.Dataset) -> None:
        data.PixelData = (data.pixel_array * 10).astype("<u2").tobytes()

    with pytest.raises(InputError, match="has numbers of more than its 12 bits"):
        edited(tmp_path, tenfold, "siemens-maps")


def test_a_padding_among_the_values_is_not_believed(tmp_path: Path):
    number = int(np.median(np.rint(100 * patient()[1]["tmax"][0][patient()[1]["tmax"][0] > 0])))
    with pytest.raises(InputError, match=f"states a padding of {number}, which lies among its values"):
        edited(tmp_path, lambda data: data.add_new(0x00280120, "US", number))
