"""Sources: what a case came from, as far as results must refer to it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nibabel as nib

__all__ = ["DicomSource", "NiftiSource", "Source"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NiftiSource:
    """A NIfTI file.

    Attributes:
        header: with the geometry of the series in three dimensions and nothing else of it, no name and no description;
            results are written with it, so that they overlay the series in any viewer.
    """

    header: "nib.Nifti1Header"


@dataclass(frozen=True, kw_only=True)
class DicomSource:
    """A series of DICOM instances, by the identifiers that results have to repeat (PS3.3 C.7.2.1, C.7.3.1, C.7.4.1).

    Attributes:
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        frame_of_reference_uid: Frame of Reference UID.
        instance_uids: SOP Instance UIDs ``[T][D]``, frames by time, slices from foot to head.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    instance_uids: tuple[tuple[str, ...], ...]


Source = NiftiSource | DicomSource
"""None beside these is a case made of arrays."""
