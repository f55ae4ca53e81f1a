"""Instance: a DICOM object in a file, as far as sending it needs to know."""

from dataclasses import dataclass
from pathlib import Path

from ctpdeploy.errors import InputError
from ctpdeploy.service.pynetdicom_quietly import pynetdicom

__all__ = ["Instance", "read_instance"]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An object that is sent as its file holds it, byte for byte.

    Attributes:
        path: of its file.
        sop_class: UID of what it is.
        uid: its SOP Instance UID.
        transfer_syntax: UID of how it is encoded.
        bytes: size of its file.
    """

    path: Path
    sop_class: str
    uid: str
    transfer_syntax: str
    bytes: int

    def require_same(self) -> None:
        """Refuse a file that is not as long as it was, or not there any more.

        Raises:
            InputError: it is so.
        """
        try:
            same = self.path.stat().st_size == self.bytes
        except OSError:
            same = False
        if not same:
            raise InputError(f"{self.path} changed while it was sent: send it again when it is complete.")


def read_instance(path: Path) -> Instance:
    """What the header of a file says; its data set is not read.

    Raises:
        InputError: it is no DICOM file, or cannot be read.
        MissingPackageError: pynetdicom is not installed.
    """
    pynetdicom()
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    try:
        meta = read_file_meta_info(path)
        return Instance(
            path=path,
            sop_class=str(meta.MediaStorageSOPClassUID),
            uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax=str(meta.TransferSyntaxUID),
            bytes=path.stat().st_size,
        )
    except (InvalidDicomError, AttributeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no DICOM file that can be sent: give files with a DICOM header.") from error
