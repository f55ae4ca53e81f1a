"""Sources: what a case came from, as far as results must refer to it."""

from dataclasses import dataclass
from importlib.resources.abc import Traversable
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
    """A series of DICOM images, by the identifiers that results have to repeat (PS3.3 C.7.2.1, C.7.3.1, C.7.4.1).

    Attributes:
        study_uid: Study Instance UID.
        series_uids: Series Instance UIDs; several where each phase has one.
        frame_of_reference_uid: Frame of Reference UID.
        instance_uids: SOP Instance UIDs ``[T][Z]``, phases by time, slices in the order of the source's last axis.
        map_uids: Series Instance UIDs of the perfusion maps taken; none where they were computed.
        first_phase: the file of each slice of the first phase, and the number of its image in it: headers that results
            are made to go with.
    """

    study_uid: str
    series_uids: tuple[str, ...]
    frame_of_reference_uid: str
    instance_uids: tuple[tuple[str, ...], ...]
    map_uids: tuple[str, ...] = ()
    first_phase: tuple[tuple[Traversable, int], ...] = ()


Source = NiftiSource | DicomSource
"""None beside these is a case made of arrays."""
