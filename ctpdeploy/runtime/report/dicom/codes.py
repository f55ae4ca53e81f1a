"""Codes: the words of results in the terminologies of DICOM (PS3.16), as data."""

from typing import Final, NamedTuple

__all__ = [
    "ARBITRARY_UNIT",
    "BLOOD_VOLUME",
    "BLOOD_VOLUME_UNIT",
    "BRAIN",
    "CT_PERFUSION",
    "DIFFUSION_WEIGHTED",
    "FINDING",
    "FLOW",
    "FLOW_UNIT",
    "INFARCT",
    "MILLILITRE",
    "MORPHOLOGIC",
    "NEURAL_NETWORK",
    "NOTE",
    "NO_UNIT",
    "PROBABILITY",
    "QUALITATIVE",
    "SECOND",
    "SIDES",
    "TMAX",
    "TRANSIT_TIME",
    "VOLUME",
    "Code",
]


class Code(NamedTuple):
    """A concept of a terminology.

    Attributes:
        value: the code.
        scheme_designator: the terminology: ``"DCM"``, ``"SCT"`` of SNOMED CT, ``"UCUM"`` of units, ``"LN"`` of LOINC.
        meaning: for people.
    """

    value: str
    scheme_designator: str
    meaning: str


INFARCT: Final = Code("55641003", "SCT", "Infarct")
"""Morphology; the "Stroke" of pydicom's dictionary is 309966001, a stroke unit: a ward."""
MORPHOLOGIC: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
BRAIN: Final = Code("12738006", "SCT", "Brain")
SIDES: Final = {
    "left": Code("7771000", "SCT", "Left"),
    "right": Code("24028007", "SCT", "Right"),
    "both": Code("51440002", "SCT", "Bilateral"),
}
CT_PERFUSION: Final = Code("39142-5", "LN", "CT perfusion head with contrast IV")
NEURAL_NETWORK: Final = Code("123110", "DCM", "Artificial Intelligence")
VOLUME: Final = Code("118565006", "SCT", "Volume")
MILLILITRE: Final = Code("ml", "UCUM", "milliliter")
QUALITATIVE: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")
FINDING: Final = Code("121071", "DCM", "Finding")
NOTE: Final = Code("121106", "DCM", "Comment")

PROBABILITY: Final = Code("110854", "DCM", "Fractional Probabilistic Segmentation")
DIFFUSION_WEIGHTED: Final = Code("113043", "DCM", "Diffusion weighted")
FLOW: Final = Code("126390", "DCM", "Absolute Regional Blood Flow")
BLOOD_VOLUME: Final = Code("126391", "DCM", "Absolute Regional Blood Volume")
TRANSIT_TIME: Final = Code("113052", "DCM", "Mean Transit Time")
TMAX: Final = Code("113084", "DCM", "Tmax")

NO_UNIT: Final = Code("1", "UCUM", "no units")
ARBITRARY_UNIT: Final = Code("[arb'U]", "UCUM", "arbitrary unit")
FLOW_UNIT: Final = Code("ml/[100]g/min", "UCUM", "milliliter per 100 gram per minute")
BLOOD_VOLUME_UNIT: Final = Code("ml/[100]g", "UCUM", "milliliter per 100 gram")
SECOND: Final = Code("s", "UCUM", "second")
