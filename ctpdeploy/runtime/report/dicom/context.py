"""Context: what all objects of a result have in common: source, identity, equipment."""

import re
from typing import Any, Final

import numpy as np
from highdicom import AlgorithmIdentificationSequence, ContributingEquipment, PixelMeasuresSequence
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from ctpdeploy import __version__
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.data.source import DicomSource
from ctpdeploy.runtime.dicom.kinds import OWN_MAKER, OWN_NOTICE
from ctpdeploy.runtime.report.dicom.codes import NEURAL_NETWORK, Code
from ctpdeploy.runtime.report.dicom.identity import Identity
from ctpdeploy.runtime.report.dicom.source_images import SourceImages

__all__ = ["Context", "ascii_text", "concept"]

_LONGEST: Final = 64
"""Characters of a Long String, as of a Series Description."""

_BODY_PART: Final = "HEAD"  # of no two sides: none has to be named
_NO_BUNDLE: Final = "none"


class Context:
    """Of the results of a case.

    Args:
        case: read from DICOM.
        prediction: of that case.

    Attributes:
        sources: images that the results lie on.
        identity: of the results.
        digest: SHA-256 of the bundle; ``"none"`` where the networks came from none.
        versions: of ctpdeploy, the bundle and what ran it.

    Raises:
        InputError: the case was not read from DICOM, or a file of it cannot be read any more.
    """

    def __init__(self, case: Case, prediction: Prediction) -> None:
        source = case.source
        if not isinstance(source, DicomSource) or not source.first_phase:
            raise InputError(
                f"{case.identifier} was not read from DICOM and names no patient: its results cannot be DICOM objects."
            )
        engine = prediction.outputs.engine
        bundle = prediction.provenance.bundle if prediction.provenance else {}
        self.case, self.prediction = case, prediction
        self.digest = bundle.get("sha256") or _NO_BUNDLE
        self.sources = SourceImages(source)
        self.identity = Identity(
            self.sources.header,
            (
                *(__version__, self.digest, engine.backend, engine.precision),
                *(case.interval_source, str(case.frame_interval)),
                *source.map_uids,
                *(found.code for found in case.findings if found.code == "maps-set-aside"),
                *(source.study_uid, *(uid for phase in source.instance_uids for uid in phase)),
            ),
        )
        self._model = ascii_text(bundle.get("name") or _NO_BUNDLE)[:_LONGEST]
        self.versions = [
            ascii_text(words)[:_LONGEST]
            for words in (
                f"{OWN_MAKER} {__version__}",
                f"bundle {self.digest[:12]}",
                f"{engine.backend} {engine.precision}",
                *(f"{package} {version}" for package, version in engine.versions.items()),
            )
        ]

    def described(self, word: str, index: int, description: str) -> dict[str, Any]:
        """What the maker of any object is told.

        Args:
            word: for the object, of which its UIDs are made.
            index: of its series in the results.
            description: of its series; that it is for research use only is added.
        """
        return {
            "series_instance_uid": self.identity.uid(word, "series"),
            "series_number": self.identity.series_number(index),
            "sop_instance_uid": self.identity.uid(word),
            "instance_number": 1,
            "series_description": f"{description} ({OWN_NOTICE})",
            "manufacturer": OWN_MAKER,
            "manufacturer_model_name": self._model,
            "device_serial_number": self.digest,
            "software_versions": self.versions,
            "contributing_equipment": [self._equipment()],
        }

    def _equipment(self) -> ContributingEquipment:
        return ContributingEquipment(
            manufacturer=OWN_MAKER,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=self._model,
            device_serial_number=self.digest,
            software_versions=self.versions,
            contribution_description=" ".join(self.prediction.notices),
        )

    def frames(self, volume: NDArray[Any]) -> NDArray[Any]:
        """A volume ``(D, H, W)`` of the case as frames ``(Z, rows, columns)`` on the source's images."""
        return np.ascontiguousarray(self.case.geometry.to_source(volume).T)

    def pixel_measures(self) -> PixelMeasuresSequence:
        """Voxel size of the source's images; the distance is along the normal, under a tilted gantry too."""
        first = self.sources.stand_ins[0]
        return PixelMeasuresSequence(
            pixel_spacing=[float(side) for side in first.PixelSpacing],
            slice_thickness=float(first.get("SliceThickness") or self.sources.distance),
            spacing_between_slices=self.sources.distance,
        )

    def algorithm(self) -> AlgorithmIdentificationSequence:
        """The networks, as what drew a segment."""
        return AlgorithmIdentificationSequence(
            name=OWN_MAKER, family=concept(NEURAL_NETWORK), version=__version__, parameters={"bundle": self.digest}
        )

    def finish(self, data: Dataset) -> None:
        """Make an object the patient's and refer to what its sources really are, in place."""
        self.sources.restore(data)
        if "DimensionOrganizationSequence" in data:
            organisation = self.identity.uid(data.SOPInstanceUID, "dimensions")
            for item in (*data.DimensionOrganizationSequence, *data.get("DimensionIndexSequence", ())):
                item.DimensionOrganizationUID = organisation
        if data.Modality != "SR":
            data.BodyPartExamined = _BODY_PART
        self.identity.stamp(data)


def concept(code: Code) -> CodedConcept:
    """A code as the library takes it."""
    return CodedConcept(*code)


def ascii_text(text: str) -> str:
    """A text in what every character set of a source has and no value separates; the rest as question marks."""
    return re.sub(r"[^ -\[\]-~]", "?", text)
