"""Headers: what all objects of a study have in common, and what all images of a series have."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.phantom.dicom.makers import Maker
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.timing import moment
from ctpdeploy.runtime.data.origin import PHANTOM

__all__ = ["Identity", "decimals", "describe_ct", "describe_pixels", "new_object"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose study it is: nobody's.

    Attributes:
        name: of the patient, who does not exist.
        words: that tell the study from others; all UIDs are made of them.
        start: of the study, ``HHMMSS``.
        maker: of the scanner.
    """

    name: str
    words: str
    start: str
    maker: Maker

    def uid(self, *words: object) -> str:
        """The UID of something in the study, always the same.

        pydicom joins words without a mark between them, so that 1 and 11 were 11 and 1: they are joined here.
        """
        return str(generate_uid(entropy_srcs=["/".join([self.words, *map(str, words)])]))


def decimals(values: Iterable[float]) -> list[str]:
    """Numbers as DICOM's decimal strings, of at most 16 characters."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]  # never -0


def new_object(
    identity: Identity, sop_class: str, series: str, *, modality: str, number: int, description: str
) -> Dataset:
    """The patient, study, series and equipment of an object, and its file's meta information.

    Args:
        identity: of the study.
        sop_class: UID of its class.
        series: word for its series.
        modality: of the series.
        number: of the series.
        description: of the series.
    """
    data, begin = Dataset(), moment(identity.start, 0.0)
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = UID(sop_class), ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = generate_uid(entropy_srcs=["ctpdeploy"]), "CTP"
    data.file_meta = meta
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID, data.Modality = sop_class, modality
    if modality != "SR":
        data.BodyPartExamined = "HEAD"
    data.StudyDate, data.StudyTime = begin.date, begin.time
    data.SeriesDate, data.SeriesTime = begin.date, begin.time
    data.InstanceCreationDate, data.InstanceCreationTime = begin.date, begin.time
    data.AccessionNumber, data.StudyID, data.ReferringPhysicianName = "PHANTOM", "1", ""
    data.StudyDescription = f"PHANTOM. {INTENDED_USE}"
    data.SeriesDescription, data.SeriesNumber = f"PHANTOM {description}", number
    data.Manufacturer, data.ManufacturerModelName = identity.maker.manufacturer, PHANTOM
    data.DeviceSerialNumber, data.SoftwareVersions = "0", __version__
    data.PatientName, data.PatientID = identity.name, identity.name.replace("^", "-")
    data.PatientBirthDate, data.PatientSex = "", "O"
    data.PatientIdentityRemoved = "YES"
    data.DeidentificationMethod = "Made of equations: there was no patient"
    data.StudyInstanceUID, data.SeriesInstanceUID = identity.uid("study"), identity.uid(series)
    return data


def describe_ct(data: Dataset, identity: Identity, space: Space, image_type: Sequence[str]) -> None:
    """Add what all images of a CT series have in common, their space among it."""
    data.ImageType = list(image_type)
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = identity.uid("space"), ""
    data.PatientPosition = "HFS"
    data.ImageOrientationPatient = decimals(space.orientation)
    data.PixelSpacing = decimals(space.spacing)
    data.SliceThickness = decimals([space.distance])[0]
    data.GantryDetectorTilt = decimals([round(space.gantry_tilt, 6)])[0]
    data.KVP, data.XRayTubeCurrent, data.ExposureTime = "80", 150, 1000
    data.ConvolutionKernel = identity.maker.kernel
    data.ContrastBolusAgent = "equations"
    data.WindowCenter, data.WindowWidth = "40", "80"


def describe_pixels(data: Dataset, pixels: Pixels, rows: int, columns: int) -> None:
    """Add how pixels are stored, with their rescale."""
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.Rows, data.Columns = rows, columns
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, pixels.bits, pixels.bits - 1
    data.PixelRepresentation = int(pixels.signed)
    if pixels.padding is not None:
        data.add_new("PixelPaddingValue", "SS" if pixels.signed else "US", pixels.padding)
    data.RescaleSlope, data.RescaleIntercept = decimals([pixels.slope, pixels.intercept])
    data.RescaleType = "HU"
