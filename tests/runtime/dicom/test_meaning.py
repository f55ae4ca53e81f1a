"""Meanings: what headers say of the numbers of their images, in functional groups and outside."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from support.dicom_images import image

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.dicom.meaning import Meaning, Scale, read_meanings


def item(**elements: object) -> Dataset:
    data = Dataset()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data


def concept(value: str, scheme: str = "DCM") -> Items:
    return Items([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="x")])


def mapping(code: str = "113084", unit: str = "s", slope: float = 0.01, **more: object) -> Dataset:
    return item(
        RealWorldValueSlope=slope,
        RealWorldValueIntercept=0.0,
        LUTLabel="TMAX",
        MeasurementUnitsCodeSequence=concept(unit, "UCUM"),
        QuantityDefinitionSequence=Items([item(ConceptCodeSequence=concept(code))]),
        **more,
    )


def read(tmp_path: Path, **elements: object) -> Meaning:
    """The meaning of an image with other elements; None removes one."""
    data = image(np.zeros((4, 5)), (0, 0, 0), "x")
    for keyword, value in elements.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(tmp_path / "x", enforce_file_format=True)
    (meaning,) = read_meanings(tmp_path / "x")
    return meaning


def test_a_mapping_says_all(tmp_path: Path):
    more = {"RealWorldValueFirstValueMapped": 1, "RealWorldValueLastValueMapped": 4000}
    found = read(tmp_path, RealWorldValueMappingSequence=Items([mapping(**more)]), ManufacturerModelName="Model")
    assert found.scale == Scale(unit="s", slope=0.01, intercept=0.0, first=1, last=4000)
    assert (found.code, found.fault, found.origin) == ("113084", "", ("Synthetic", "Model"))
    assert "TMAX" in found.words


def test_without_one_the_rescale_does_if_its_type_is_a_unit(tmp_path: Path):
    found = read(tmp_path, RescaleSlope="0.1", RescaleIntercept="-3", RescaleType="ms")
    assert found.scale == Scale(unit="ms", slope=0.1, intercept=-3.0)
    assert found.code == ""
    assert read(tmp_path, RescaleType="US").scale.unit == ""


def test_of_several_mappings_that_of_a_known_quantity_counts(tmp_path: Path):
    of_nothing = mapping(code="999999", unit="1", slope=1.0)
    found = read(tmp_path, RealWorldValueMappingSequence=Items([of_nothing, mapping()]))
    assert (found.code, found.scale.unit, found.fault) == ("113084", "s", "")
    two = Items([mapping(), mapping(unit="ms", slope=10.0)])
    assert read(tmp_path, RealWorldValueMappingSequence=two).fault == "its numbers are mapped to values in 2 ways"
    assert read(tmp_path, RealWorldValueMappingSequence=Items([mapping(), mapping()])).fault == ""


def test_a_code_of_another_scheme_is_none(tmp_path: Path):
    data = mapping()
    data.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodingSchemeDesignator = "99X"
    assert read(tmp_path, RealWorldValueMappingSequence=Items([data])).code == ""


FAULTS = {
    "a table": ({"RealWorldValueMappingSequence": Items([mapping(RealWorldValueLUTData=[0.0, 1.0])])}, "a table gives"),
    "a table of the image": ({"ModalityLUTSequence": Items([item()])}, "a table gives"),
    "a slope of 0": ({"RealWorldValueMappingSequence": Items([mapping(slope=0.0)])}, "slope 0 and intercept 0"),
    "a falling slope": ({"RealWorldValueMappingSequence": Items([mapping(slope=-1.0)])}, "slope -1"),
    "no number": ({"RealWorldValueMappingSequence": Items([mapping(slope=float("nan"))])}, "slope nan"),
    "colours": ({"PhotometricInterpretation": "PALETTE COLOR"}, "it is in PALETTE COLOR"),
    "no photometric": ({"PhotometricInterpretation": None}, "it is in unknown colours"),
    "loss": ({"LossyImageCompression": "01"}, "with loss"),
    "text": ({"BurnedInAnnotation": "YES"}, "burned"),
    "another scale": (
        {"RealWorldValueMappingSequence": Items([mapping()]), "RescaleSlope": "0.01", "RescaleType": "ms"},
        "its mapping, in s, and its rescale, in ms, contradict each other",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_makes_numbers_no_values_is_said(fault: str, tmp_path: Path):
    elements, words = FAULTS[fault]
    assert words in read(tmp_path, **elements).fault


def test_scales_that_say_the_same_in_other_units_agree(tmp_path: Path):
    both = {"RealWorldValueMappingSequence": Items([mapping()]), "RescaleSlope": "10", "RescaleType": "ms"}
    assert read(tmp_path, **both).fault == ""
    unknown = {"RealWorldValueMappingSequence": Items([mapping()]), "RescaleSlope": "7", "RescaleType": "HU"}
    assert read(tmp_path, **unknown).fault == ""


def test_a_frame_stands_before_what_all_share(tmp_path: Path):
    shared = item(RealWorldValueMappingSequence=Items([mapping()]))
    own = item(
        RealWorldValueMappingSequence=Items([mapping(code="113052", slope=0.5)]),
        CTImageFrameTypeSequence=Items([item(FrameType=["DERIVED", "PRIMARY", "PERFUSION", "MTT"])]),
    )
    data = image(np.zeros((4, 5)), (0, 0, 0), "x")
    data.SharedFunctionalGroupsSequence, data.PerFrameFunctionalGroupsSequence = Items([shared]), Items([own, item()])
    data.save_as(tmp_path / "x", enforce_file_format=True)
    first, second = read_meanings(tmp_path / "x")
    assert (first.code, first.scale.slope) == ("113052", 0.5)
    assert "PERFUSION MTT" in first.words
    assert (second.code, second.scale.slope) == ("113084", 0.01)


def test_a_file_that_is_none_is_said(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"neither")
    with pytest.raises(InputError, match="is no readable map"):
        read_meanings(tmp_path / "x")
