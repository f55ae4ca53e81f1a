"""Quantities: what the numbers of a perfusion map are, in the codes of DICOM (PS3.16 annex D) and UCUM."""

from dataclasses import dataclass
from typing import Final

__all__ = ["QUANTITIES", "Quantity"]


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
