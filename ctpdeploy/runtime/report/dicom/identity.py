"""Identity: whose results they are, taken over from the source byte for byte, and the UIDs and numbers they get.

An archive files an object by what it says of patient and study: one letter that is not the source's, or a name that was
decoded and encoded again, and the results are with another patient.
"""

import hashlib
from collections.abc import Iterable
from copy import deepcopy
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import generate_uid

__all__ = ["TYPE_2", "Identity"]

TYPE_2: Final = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName"),
)
"""Elements that every object has, empty where nothing is known (PS3.3 C.7.1.1, C.7.2.1)."""

_COPIED: Final = (
    "SpecificCharacterSet",  # what the bytes of the others mean; all text of our own is ASCII, the same in each
    "TimezoneOffsetFromUTC",
    *TYPE_2,
    *("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "OtherPatientIDs"),
    *("OtherPatientIDsSequence", "OtherPatientNames", "PatientBirthTime", "EthnicGroup", "PatientComments"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("PatientAge", "PatientSize", "PatientWeight", "IssuerOfAccessionNumberSequence", "StudyInstanceUID"),
    *("StudyDescription", "ConsultingPhysicianName", "PhysiciansOfRecord"),
)

_FIRST_NUMBER: Final = 100_000_000
_NUMBERS_A_RESULT: Final = 100


class Identity:
    """Of the results of one case by one bundle.

    Args:
        header: of a source image; only what is needed of it is decoded.
        words: whatever makes the results what they are; the same words give the same UIDs.
    """

    def __init__(self, header: Dataset, words: Iterable[str]) -> None:
        self._header = header
        self._digest = hashlib.sha256("/".join(words).encode()).hexdigest()

    def uid(self, *words: str) -> str:
        """The UID of something in the results, always the same.

        pydicom joins words without a mark between them, so that 1 and 11 were 11 and 1: they are joined here.
        """
        return str(generate_uid(entropy_srcs=["/".join([self._digest, *words])]))

    def series_number(self, index: int) -> int:
        """Series Number of a result's series: nine digits, which scanners do not give, and other results others."""
        own = int(self._digest[:12], 16) % 1_000_000
        return _FIRST_NUMBER + own * _NUMBERS_A_RESULT + index

    def stamp(self, data: Dataset) -> None:
        """Give an object, complete but for these, the patient and the study of the source, in place.

        Args:
            data: to be written in explicit little endian.
        """
        correct_ambiguous_vr(data, is_little_endian=True)
        for keyword in _COPIED:
            tag = tag_for_keyword(keyword) or 0
            element = self._header.get_item(tag)
            if element is None:
                if keyword in TYPE_2:
                    setattr(data, keyword, "")
                elif keyword in data:
                    del data[keyword]
            elif isinstance(element, RawDataElement) and dictionary_VR(tag) != "SQ":
                data[tag] = element._replace(VR=dictionary_VR(tag), is_implicit_VR=False, is_little_endian=True)
            else:
                data[tag] = deepcopy(self._header[tag])
        # of what looks as if it was read like this pydicom writes the bytes; else it decodes them and encodes anew
        data.set_original_encoding(
            is_implicit_vr=False, is_little_endian=True, character_encoding=self._header.original_character_set
        )
