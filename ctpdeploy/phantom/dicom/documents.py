"""Documents: what a study holds that is no CT image: colours, a dose report, a presentation, and files of computers."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from ctpdeploy import INTENDED_USE
from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.groups import code, items
from ctpdeploy.phantom.dicom.headers import Identity, new_object
from ctpdeploy.phantom.dicom.timing import moment
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_colours", "write_dose_report", "write_files", "write_presentation"]

COLOUR_NUMBER, DOSE_NUMBER, PRESENTATION_NUMBER = 701, 997, 998


def write_colours(
    disc: Disc,
    identity: Identity,
    values: FloatArray,
    description: str,
    *,
    word: str = "colour",
    number: int = COLOUR_NUMBER,
) -> dict[str, str]:
    """Write numbers ``(K, J, I)`` as pictures from blue to red, as workstations save their maps for reading.

    Args:
        disc: of the study.
        identity: of the study.
        values: from the least, in blue, to the largest.
        description: of the series.
        word: for it within the study.
        number: of it.
    """
    made = moment(identity.start, 900.0)
    data = new_object(
        identity,
        uid.SecondaryCaptureImageStorage,
        word,
        modality="CT",
        number=number,
        description=description,
    )
    data.ConversionType, data.PatientOrientation = "WSD", ""
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.ContentDate, data.ContentTime = made.date, made.time
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.Rows, data.Columns = values.shape[1:]
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    for k, picture in enumerate(_in_colours(values)):
        data.SOPInstanceUID, data.InstanceNumber = identity.uid(word, k), k + 1
        pixels = picture.tobytes()
        disc.put(data, pixels + bytes(len(pixels) % 2))
    return {data.SeriesInstanceUID: "colour"}


def _in_colours(values: FloatArray) -> NDArray[np.uint8]:
    """Red, green and blue ``(K, J, I, 3)``."""
    low, high = float(values.min()), float(values.max())
    share = (values - low) / max(high - low, 1e-6)
    return np.rint(255 * np.stack([share, 4 * share * (1 - share), 1 - share], axis=-1)).astype(np.uint8)


def write_dose_report(disc: Disc, identity: Identity) -> dict[str, str]:
    """Write a report of the dose, of its first lines only (TID 10011)."""
    made = moment(identity.start, 600.0)
    data = new_object(
        identity,
        uid.XRayRadiationDoseSRStorage,
        "dose",
        modality="SR",
        number=DOSE_NUMBER,
        description="DOSE REPORT",
    )
    data.SOPInstanceUID, data.InstanceNumber = identity.uid("dose", "file"), 1
    data.ContentDate, data.ContentTime = made.date, made.time
    data.CompletionFlag, data.VerificationFlag = "COMPLETE", "UNVERIFIED"
    data.ReferencedPerformedProcedureStepSequence, data.PerformedProcedureCodeSequence = items(), items()
    data.ValueType, data.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data.ConceptNameCodeSequence = code("113701", "DCM", "X-Ray Radiation Dose Report")
    data.ContentTemplateSequence = items({"MappingResource": "DCMR", "TemplateIdentifier": "10011"})
    product = {"NumericValue": "2700", "MeasurementUnitsCodeSequence": code("mGy.cm", "UCUM", "mGy.cm")}
    data.ContentSequence = items(
        {
            "RelationshipType": "CONTAINS",
            "ValueType": "NUM",
            "ConceptNameCodeSequence": code("113813", "DCM", "CT Dose Length Product Total"),
            "MeasuredValueSequence": items(product),
        }
    )
    disc.put(data)
    return {data.SeriesInstanceUID: "report"}


def write_presentation(
    disc: Disc, identity: Identity, series: str, instance: str, shape: tuple[int, int]
) -> dict[str, str]:
    """Write a presentation state: how somebody looked at an image (PS3.3 A.33.1).

    Args:
        disc: of the study.
        identity: of the study.
        series: UID of the image's series.
        instance: UID of a CT image.
        shape: its rows and columns.
    """
    made = moment(identity.start, 1200.0)
    image = items({"ReferencedSOPClassUID": uid.CTImageStorage, "ReferencedSOPInstanceUID": instance})
    data = new_object(
        identity,
        uid.GrayscaleSoftcopyPresentationStateStorage,
        "presentation",
        modality="PR",
        number=PRESENTATION_NUMBER,
        description="PRESENTATION",
    )
    data.SOPInstanceUID, data.InstanceNumber = identity.uid("presentation", "file"), 1
    data.PresentationCreationDate, data.PresentationCreationTime = made.date, made.time
    data.ContentLabel, data.ContentDescription, data.ContentCreatorName = "PHANTOM", INTENDED_USE, ""
    data.ReferencedSeriesSequence = items({"SeriesInstanceUID": series, "ReferencedImageSequence": image})
    data.DisplayedAreaSelectionSequence = items(
        {
            "DisplayedAreaTopLeftHandCorner": [1, 1],
            "DisplayedAreaBottomRightHandCorner": [shape[1], shape[0]],
            "PresentationSizeMode": "SCALE TO FIT",
            "PresentationPixelAspectRatio": ["1", "1"],
        }
    )
    data.SoftcopyVOILUTSequence = items({"WindowCenter": "40", "WindowWidth": "80"})
    data.PresentationLUTShape = "IDENTITY"
    disc.put(data)
    return {data.SeriesInstanceUID: "presentation"}


def write_files(folder: Path) -> None:
    """Write files that are none of DICOM's, as discs and computers leave them."""
    (folder / "README.TXT").write_text(f"PHANTOM: synthetic images. {INTENDED_USE}\n", encoding="utf-8")
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(56))
    (folder / "AUTORUN.INF").write_bytes(b"[autorun]\r\nopen=VIEWER.EXE\r\n")
