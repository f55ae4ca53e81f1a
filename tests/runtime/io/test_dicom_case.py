"""Cases whose maps are those of the study, against the same arrays handed over without DICOM; and whose are not."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pydicom.dataset import Dataset
from support.map_studies import NUMBERS, again, edit_files, files_of, given, patient, times, write_patient

from ctpdeploy.phantom.dicom.layouts import LAYOUTS
from ctpdeploy.runtime import Case, Pipeline, case_from_arrays, find_cases, read_case
from ctpdeploy.runtime.data.case import MAP_NAMES
from ctpdeploy.runtime.data.source import DicomSource

EXACT = ("enhanced", "uih-maps")
HALF_QUANTA = {
    **dict.fromkeys(("one-series", "ge-maps", "philips-maps"), dict.fromkeys(MAP_NAMES, 0.005)),
    "siemens-maps": {"cbf": 0.025 / 1.04, "cbv": 0.005 / 1.04, "mtt": 0.005, "tmax": 0.005},
    "canon-maps": {"cbf": 0.05, "cbv": 0.005, "mtt": 0.0005, "tmax": 0.001},
}


def codes(case: Case) -> set[str]:
    return {found.code for found in case.findings if "maps" in found.code}


def said(case: Case) -> str:
    (sentence,) = (str(found) for found in case.findings if found.code == "maps-not-used")
    return sentence


@pytest.fixture(scope="module")
def computed() -> Case:
    """The patient without maps."""
    hu, _, affine = patient()
    return case_from_arrays(hu, times(), affine=affine)


@pytest.mark.parametrize("layout", EXACT)
def test_maps_in_floating_point_are_the_same_case_and_the_same_mask(layout: str, tmp_path: Path, bundle_folder: Path):
    write_patient(tmp_path / "study", layout, junk=True)
    found, expected = read_case(tmp_path / "study"), given()
    for name in MAP_NAMES:
        assert_array_equal(found.maps[name], expected.maps[name])
    assert codes(found) == {"maps-of-study"}
    assert found.perfusion is None
    with Pipeline.open(bundle_folder, "ort-cpu") as pipeline:
        ours, theirs = pipeline.predict(found), pipeline.predict(expected)
    assert_array_equal(ours.mask, theirs.mask)
    assert_array_equal(ours.probability, theirs.probability)


@pytest.mark.parametrize("layout", HALF_QUANTA)
def test_maps_in_whole_numbers_are_within_half_a_quantum(layout: str, tmp_path: Path):
    write_patient(tmp_path / "study", layout, junk=True)
    found, expected = read_case(tmp_path / "study"), given()
    for name, half in HALF_QUANTA[layout].items():
        assert np.abs(found.maps[name] - expected.maps[name]).max() <= half * 1.0001
        assert np.abs(found.maps[name] - expected.maps[name]).max() > 0 or name != "tmax"  # some are whole anyway
    assert codes(found) == {"maps-of-study"}


def test_every_maker_is_tried():
    assert {name for name in LAYOUTS if name.endswith("-maps")} <= {*EXACT, *HALF_QUANTA, "colour-maps"}


def test_what_was_taken_is_said_and_kept(tmp_path: Path):
    truth = write_patient(tmp_path / "study", "siemens-maps")
    found = read_case(tmp_path / "study")
    (sentence,) = (str(one) for one in found.findings if one.code == "maps-of-study")
    assert "CBF in ml/(100.ml)/min by code 113055 DCM (series 601)" in sentence
    assert "Tmax in ms by code 113084 DCM (series 604)" in sentence
    assert {name: found.files[name] for name in MAP_NAMES} == {
        name: f"series {number}" for name, number in NUMBERS.items()
    }
    assert isinstance(found.source, DicomSource)
    assert set(found.source.map_uids) == set(truth.others)


def test_computed_maps_may_be_asked_for(tmp_path: Path, computed: Case):
    write_patient(tmp_path / "study", "one-series")
    found = read_case(tmp_path / "study", maps="computed")
    assert codes(found) == {"maps-set-aside", "maps-computed"}
    assert found.perfusion is not None
    assert_allclose(found.maps["tmax"], computed.maps["tmax"], atol=1e-3)


def test_maps_in_colours_are_named_and_not_read(tmp_path: Path, computed: Case):
    write_patient(tmp_path / "study", "colour-maps")
    found = read_case(tmp_path / "study")
    assert codes(found) == {"maps-in-colour", "maps-computed"}
    (sentence,) = (str(one) for one in found.findings if one.code == "maps-in-colour")
    assert sentence.startswith("The study's colour maps hold no values: CBF (series 601), CBV (series 602)")
    assert_allclose(found.maps["tmax"], computed.maps["tmax"], atol=1e-3)


def test_maps_on_more_slices_than_a_scan_are_taken_where_it_lies(tmp_path: Path):
    write_patient(tmp_path / "study", "two-slabs")
    lower, upper = (case.read() for case in find_cases(tmp_path / "study"))
    for found, slices in ((lower, slice(2)), (upper, slice(2, None))):
        assert codes(found) == {"maps-of-study"}
        assert_allclose(found.maps["tmax"], given(slices=slices).maps["tmax"], atol=0.00501)


def setting(**elements: object) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(data, keyword, value)

    return change


def mapping(**elements: object) -> Callable[[Dataset], None]:
    """Elements of the mapping to real world values."""

    def change(data: Dataset) -> None:
        setting(**elements)(data.RealWorldValueMappingSequence[0])

    return change


def code(value: str) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        data.RealWorldValueMappingSequence[0].QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue = value

    return change


def unit(value: str) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        data.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0].CodeValue = value

    return change


def unmapped(data: Dataset) -> None:
    del data.RealWorldValueMappingSequence


def moved(x: float, y: float, z: float) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        data.ImagePositionPatient = [
            float(at) + by for at, by in zip(data.ImagePositionPatient, (x, y, z), strict=True)
        ]

    return change


def pixels(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Dataset], None]:
    def edit(data: Dataset) -> None:
        data.PixelData = np.ascontiguousarray(change(data.pixel_array)).astype("<u2").tobytes()

    return edit


def gone(*_: object) -> None:
    """In the place of a change: the files are taken away."""


def at_one_place(data: Dataset) -> None:
    data.ImagePositionPatient = [*data.ImagePositionPatient[:2], "-20"]


def a_rescale_in_another_unit(data: Dataset) -> None:
    data.RescaleType = "ms"


def other_words(data: Dataset) -> None:
    data.SeriesDescription = "PHANTOM MTT MAP"
    data.ImageType = ["DERIVED", "PRIMARY", "AXIAL", "MTT"]


NOT_USED = {
    "missing": ("tmax", gone, r"CBF .*CBV .*MTT .*: it has no TMAX beside it"),
    "another frame of reference": ("mtt", setting(FrameOfReferenceUID="1.2.3"), "another frame of reference"),
    "no frame of reference": ("mtt", setting(FrameOfReferenceUID=""), "another frame of reference"),
    "another slab": ("cbf", moved(0, 0, 300), "it lies on 0 of the scan's 4 slices"),
    "half a slab away": ("cbf", moved(0, 0, 2 * 5.16594), "it lies on"),
    "half a pixel aside": ("cbv", moved(1.6, 0, 0), "voxels beside the scan's, and none is resampled"),
    "turned": ("cbv", setting(ImageOrientationPatient=[-1, 0, 0, 0, 1, 0]), "voxels beside the scan's"),
    "of other pixels": ("cbv", setting(PixelSpacing=[3.0, 3.0]), "voxels beside the scan's"),
    "at one place": ("cbv", at_one_place, "it has two images at z|it lies on"),
    "without a place": ("cbv", setting(ImagePositionPatient=None), "do not state where they lie"),
    "without a mapping": ("tmax", unmapped, "it states no unit"),
    "in HU": ("tmax", lambda data: (unmapped(data), setting(RescaleType="HU")(data)), "its unit HU is none of Tmax"),
    "in a unit of another kind": ("tmax", unit("ml/(100.g)"), r"its unit ml/\(100\.g\) is none of Tmax"),
    "in percent": ("cbf", unit("%"), "its unit % is none of CBF"),
    "relative": ("cbf", code("126397"), "it is relative, and what is printed and checked has units"),
    "relative by its unit": ("cbf", unit("1"), "its unit 1 is none of CBF"),
    "words against its code": ("tmax", other_words, "it is Tmax by code 113084 DCM, and MTT by the words"),
    "code against its words": ("tmax", code("113052"), "it is MTT by code 113052 DCM, and Tmax by the words"),
    "TTP by its code": ("tmax", code("113069"), "it is TTP by code 113069 DCM, and Tmax by the words"),
    "scales that contradict": ("tmax", a_rescale_in_another_unit, "its mapping, in s, and its rescale, in ms, contrad"),
    "no slope": ("tmax", mapping(RealWorldValueSlope=0.0), "slope 0 and intercept 0 are those of no map"),
    "numbers beyond its mapping": ("tmax", mapping(RealWorldValueLastValueMapped=100), "stated up to 100 only"),
    "compressed with loss": ("tmax", setting(LossyImageCompression="01"), "it was compressed with loss"),
    "burned in": ("tmax", setting(BurnedInAnnotation="YES"), "words are burned into it"),
    "inverted": ("tmax", setting(PhotometricInterpretation="MONOCHROME1"), "it is in MONOCHROME1"),
    "of MR": (
        "tmax",
        setting(Modality="MR"),
        r"Tmax \(series 604\): it has|Tmax \(series 604\): its modality is not CT",
    ),
    "of another maker": ("tmax", setting(Manufacturer="Other"), "it has no CBF, CBV, MTT beside it"),
    "a mask of it": ("tmax", setting(SeriesDescription="Tmax > 6 s"), "what was made of maps, and not a map"),
    "mirrored": ("cbf", pixels(lambda image: image[:, ::-1]), "CBF does not go with the height of the curves"),
    "empty": ("cbf", pixels(np.zeros_like), "The perfusion maps are empty"),
    "all the same": (
        "cbf",
        pixels(lambda image: np.full_like(image, 3000)),
        "of the positive voxels of CBF lie in air",
    ),
    "ten times": ("cbf", mapping(RealWorldValueSlope=0.1), "are the maps swapped"),
}


@pytest.mark.parametrize("fault", NOT_USED)
def test_maps_that_are_not_right_are_not_used_and_that_is_said(fault: str, tmp_path: Path, computed: Case):
    name, change, words = NOT_USED[fault]
    write_patient(tmp_path / "study", "one-series")
    paths = files_of(tmp_path / "study", NUMBERS[name])
    if change is gone:
        for path in paths:
            path.unlink()
    else:
        edit_files(paths, change)
    found = read_case(tmp_path / "study")
    assert codes(found) == {"maps-not-used", "maps-computed"}
    assert re.search(words, said(found)), said(found)
    assert found.perfusion is not None
    assert_allclose(found.maps["tmax"], computed.maps["tmax"], atol=1e-3)


def test_swapped_maps_are_found_beside_the_scan(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    first, second = (files_of(tmp_path / "study", NUMBERS[name]) for name in ("mtt", "tmax"))
    for one, other in zip(first, second, strict=True):
        mtt, tmax = one.read_bytes(), other.read_bytes()
        head = len(mtt) - 2 * 64 * 64
        assert len(mtt) - len(tmax) < 64
        one.write_bytes(mtt[:head] + tmax[-2 * 64 * 64 :])
        other.write_bytes(tmax[: len(tmax) - 2 * 64 * 64] + mtt[head:])
    assert "are the two swapped?" in said(read_case(tmp_path / "study"))


def test_another_patients_maps_are_found_beside_the_scan(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series", of_maps=4)
    assert "does not go with" in said(read_case(tmp_path / "study"))


def test_a_map_that_is_there_twice_is_nobodys_choice(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    again(files_of(tmp_path / "study", NUMBERS["tmax"]))
    assert "there are 2 of Tmax (series 604 and series 654)" in said(read_case(tmp_path / "study"))


def test_of_two_makers_sets_none_is_taken(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    again(files_of(tmp_path / "study", *NUMBERS.values()), setting(Manufacturer="Other"))
    assert "there are 2 makers' sets of four maps" in said(read_case(tmp_path / "study"))


def test_another_makers_part_is_no_obstacle(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    again(files_of(tmp_path / "study", NUMBERS["tmax"]), setting(Manufacturer="Other"))
    assert codes(read_case(tmp_path / "study")) == {"maps-of-study"}


def test_images_in_any_order_each_with_a_scale_of_its_own_are_the_same_maps(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    paths = files_of(tmp_path / "study", *NUMBERS.values())
    for index, path in enumerate(paths):

        def rescaled(data: Dataset, index: int = index) -> None:
            item, times = data.RealWorldValueMappingSequence[0], 1 + index % 3
            data.InstanceNumber = 100 - index
            item.RealWorldValueSlope = 0.01 / times
            data.PixelData = (data.pixel_array * times).astype("<u2").tobytes()

        edit_files([path], rescaled)
        path.rename(path.with_name(f"{200 - index}"))
    found = read_case(tmp_path / "study")
    assert codes(found) == {"maps-of-study"}
    assert [one.code for one in found.findings].count("rescale-varies") == 4
    assert_allclose(found.maps["tmax"], given().maps["tmax"], atol=0.00501)


def test_images_that_came_twice_are_read_once(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    for path in files_of(tmp_path / "study", *NUMBERS.values()):
        path.with_name(f"{path.name}copy").write_bytes(path.read_bytes())
    assert codes(read_case(tmp_path / "study")) == {"maps-of-study"}


def test_our_own_results_are_no_makers_maps(tmp_path: Path):
    write_patient(tmp_path / "study", "one-series")
    paths = files_of(tmp_path / "study", *NUMBERS.values())
    edit_files(paths, lambda data: setattr(data, "SeriesDescription", f"{data.SeriesDescription} (research use only)"))
    assert codes(read_case(tmp_path / "study")) == {"maps-computed"}
