"""Quantities: what the numbers of a perfusion map are, in the codes of DICOM (PS3.16 annex D) and UCUM."""

from dataclasses import dataclass
from typing import Any, Final

from ctpdeploy.phantom.dicom.groups import code, items

__all__ = ["QUANTITIES", "Quantity", "value_mapping"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A quantity.

    Attributes:
        label: of its maps, as workstations write it.
        dcm: its code in DICOM.
        meaning: of that.
        unit: in UCUM.
    """

    label: str
    dcm: str
    meaning: str
    unit: str


QUANTITIES: Final[dict[str, Quantity]] = {
    "cbf": Quantity(label="CBF", dcm="113055", meaning="Regional Cerebral Blood Flow", unit="ml/(100.g)/min"),
    "cbv": Quantity(label="CBV", dcm="113056", meaning="Regional Cerebral Blood Volume", unit="ml/(100.g)"),
    "mtt": Quantity(label="MTT", dcm="113052", meaning="Mean Transit Time", unit="s"),
    "tmax": Quantity(label="TMAX", dcm="113084", meaning="Tmax", unit="s"),
}
"""By the names of maps."""


def value_mapping(quantity: Quantity, slope: float, last: float) -> dict[str, Any]:
    """An item of Real World Value Mapping Sequence (PS3.3 C.7.6.16.2.11) for stored values from 0 on.

    Args:
        quantity: that the values are of.
        slope: from stored to real values.
        last: largest stored value; a float where pixels are.
    """
    ends = "RealWorldValueFirstValueMapped", "RealWorldValueLastValueMapped"
    if isinstance(last, float):
        ends = "DoubleFloatRealWorldValueFirstValueMapped", "DoubleFloatRealWorldValueLastValueMapped"
    return {
        ends[0]: type(last)(0),
        ends[1]: last,
        "RealWorldValueIntercept": 0.0,
        "RealWorldValueSlope": slope,
        "LUTLabel": quantity.label,
        "LUTExplanation": quantity.meaning,
        "MeasurementUnitsCodeSequence": code(quantity.unit, "UCUM", quantity.unit),
        "QuantityDefinitionSequence": items(
            {
                "ValueType": "CODE",
                "ConceptNameCodeSequence": code("246205007", "SCT", "Quantity"),
                "ConceptCodeSequence": code(quantity.dcm, "DCM", quantity.meaning),
            }
        ),
    }
