"""Instance: a DICOM object in a file, as far as sending it needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from ctpdeploy.errors import InputError
from ctpdeploy.service.pynetdicom_quietly import pynetdicom

__all__ = ["Instance", "chunks_of", "read_instance"]

_CHUNK: Final = 2**18


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An object that is sent as its file holds it, byte for byte.

    Attributes:
        path: of its file.
        sop_class: UID of what it is.
        uid: its SOP Instance UID.
        transfer_syntax: UID of how it is encoded.
        bytes: size of its file.
        sha256: digest of its file by the seal of its result; empty where it has none.
    """

    path: Path
    sop_class: str
    uid: str
    transfer_syntax: str
    bytes: int
    sha256: str = ""


def chunks_of(instance: Instance) -> Iterator[bytes]:
    """What the file of an object holds; the last part only if all is as it was, so that nothing else is ever complete.

    Args:
        instance: the object.

    Raises:
        InputError: it is not as long as it was, not of its digest, or cannot be read any more.
    """
    changed = InputError(f"{instance.path} changed while it was sent: send it again when it is complete.")
    digest, length, held = sha256(), 0, b""
    try:
        with instance.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                length += len(chunk)
                if length > instance.bytes:
                    raise changed
                if held:
                    yield held
                held = chunk
    except OSError as error:
        raise changed from error
    if length != instance.bytes or (instance.sha256 and digest.hexdigest() != instance.sha256):
        raise changed
    yield held


def read_instance(path: Path, *, sha256: str = "") -> Instance:
    """What the header of a file says; its data set is not read.

    Args:
        path: of the file.
        sha256: its digest, where it has one to be held to.

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
            sha256=sha256,
        )
    except (InvalidDicomError, AttributeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no DICOM file that can be sent: give files with a DICOM header.") from error
