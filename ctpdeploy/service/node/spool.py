"""Spool: the instances that were received, one file each, in a folder of each study.

::

    SPOOL/incoming/NAME.SIZE.DIGEST       on its way; complete if SIZE and DIGEST are right
    SPOOL/STUDY/images/INSTANCE.dcm       kept: what results can be made of
    SPOOL/STUDY/beside/INSTANCE.dcm       kept: the rest, as reports, and results that come back from an archive
    SPOOL/STUDY/view/STUDY/INSTANCE.dcm   images as they were when their computation began

Names are digests of UIDs, so that nothing a sender says becomes a path. An instance is on the disk, by its first name,
before it is acknowledged; its second name need not be, since :meth:`Spool.recover` gives it again.
"""

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.dicom.header import Header, read_header
from ctpdeploy.runtime.dicom.kinds import is_own_result
from ctpdeploy.runtime.dicom.tags import PARAMETRIC_MAP, Tag

__all__ = ["Kept", "Received", "Spool", "study_key"]

_INCOMING, _IMAGES, _BESIDE, _VIEW = "incoming", "images", "beside", "view"


class Kept(Enum):
    """What became of an instance."""

    NEW = "new"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Received:
    """An instance on its way, on the disk and without a place.

    Attributes:
        path: of its file.
        header: of it.
        key: of its study.
    """

    path: Path
    header: Header
    key: str

    @property
    def is_image(self) -> bool:
        """Whether results can be made of it; nothing that ctpdeploy made is, lest results be made of results."""
        text = self.header.text
        return (text(Tag.MODALITY) == "CT" or text(Tag.SOP_CLASS) == PARAMETRIC_MAP) and not is_own_result(
            text(Tag.MANUFACTURER), text(Tag.SERIES_DESCRIPTION)
        )


def study_key(study: str) -> str:
    """The name of a study in a node: a digest of its UID, by which nobody can be known."""
    return sha256(study.encode()).hexdigest()[:16]


class Spool:
    """The spool in a folder, which is made if it is not there.

    Args:
        folder: of this node alone.
        durable: wait until each instance has reached the disk; without, a power failure may lose what was acknowledged.

    Raises:
        UsageError: its file system has no hard links.
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self._incoming, self._durable = folder / _INCOMING, durable
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._require_links()

    def receive(self, content: bytes) -> Received:
        """Write an instance to the disk.

        Args:
            content: of a DICOM file.

        Raises:
            InputError: it is no object of a series.
            OSError: it cannot be written.
        """
        path = self._incoming / f"{uuid4().hex}.{len(content)}.{zlib.crc32(content):08x}"
        try:
            with path.open("xb", buffering=0) as stream:
                view = memoryview(content)
                while view:
                    view = view[stream.write(view) :]
                if self._durable:
                    os.fsync(stream.fileno())
            return self._known(path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def keep(self, received: Received) -> Kept:
        """Give an instance its place; one that has it already, the same or another of its UID, stays there.

        Raises:
            OSError: it cannot be moved.
        """
        folder = self.study(received.key) / (_IMAGES if received.is_image else _BESIDE)
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{study_key(received.header.text(Tag.SOP_INSTANCE))}.dcm"
        try:
            os.link(received.path, place)  # unlike a renaming, never over another
        except FileExistsError:
            return Kept.SAME if _same(received.path, place) else Kept.OTHER
        else:
            return Kept.NEW
        finally:
            received.path.unlink()

    def discard(self, received: Received) -> None:
        """Forget an instance that has no place."""
        received.path.unlink(missing_ok=True)

    def study(self, key: str) -> Path:
        """The folder of a study; it need not be there."""
        return self.folder / key

    def images(self, key: str) -> list[Path]:
        """The images of a study."""
        return sorted((self.study(key) / _IMAGES).glob("*.dcm"))

    def headers(self, key: str) -> list[Header]:
        """Headers of the images of a study."""
        return [header for path in self.images(key) if (header := read_header(path)) is not None]

    @contextmanager
    def view(self, key: str) -> Iterator[Path]:
        """A folder, of the study's name, with its images as they are now, whatever comes meanwhile."""
        outer = self.study(key) / _VIEW
        shutil.rmtree(outer, ignore_errors=True)  # of a node that was killed
        folder = outer / key
        folder.mkdir(parents=True)
        try:
            for path in self.images(key):
                os.link(path, folder / path.name)
            yield folder
        finally:
            shutil.rmtree(outer, ignore_errors=True)

    def studies(self) -> list[str]:
        """The keys of the studies that are kept."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and path.name != _INCOMING)

    def remove(self, key: str) -> None:
        """Remove a study with all its instances."""
        shutil.rmtree(self.study(key), ignore_errors=True)

    def recover(self) -> Iterator[Received]:
        """What a node that was killed had received and not kept; what it had not finished is removed."""
        for path in sorted(self._incoming.iterdir()):
            _, size, digest = path.name.rsplit(".", 2)
            content = path.read_bytes()
            if len(content) == int(size) and zlib.crc32(content) == int(digest, 16):
                try:
                    yield self._known(path)
                    continue
                except InputError:
                    pass
            path.unlink()

    def free(self) -> int:
        """Bytes of the disk that are free."""
        return shutil.disk_usage(self.folder).free

    def _require_links(self) -> None:
        file = self._incoming / f"{uuid4().hex}.0.{zlib.crc32(b''):08x}"
        link = file.with_suffix(".link")
        file.touch()
        try:
            os.link(file, link)
            link.unlink()
        except OSError as error:
            raise UsageError(
                f"{self.folder} is on a file system without hard links ({error.strerror}): choose a local disk."
            ) from error
        finally:
            file.unlink()

    def _known(self, path: Path) -> Received:
        header = read_header(path)
        if header is None or not (header.text(Tag.STUDY) and header.text(Tag.SERIES) and header.text(Tag.SOP_INSTANCE)):
            raise InputError("An object without the UIDs of its study, its series and itself belongs to no scan.")
        return Received(path=path, header=header, key=study_key(header.text(Tag.STUDY)))


def _same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bytes; the node itself writes what stands before a data set."""
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
