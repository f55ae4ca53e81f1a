"""Images: CT as one file an image (CT Image Storage), a header for the series and a few elements for each."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ctpdeploy.phantom.dicom.headers import Identity, decimals
from ctpdeploy.phantom.dicom.space import Space

__all__ = ["Disc", "Image", "write_images"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """What an image has for itself.

    Attributes:
        word: for it within the study, of which its UID is made.
        k: index of its slice.
        stored: pixels ``(J, I)``, int16 or uint16.
        elements: others, by their keywords, Instance Number among them.
    """

    word: str
    k: int
    stored: NDArray[Any]
    elements: Mapping[str, Any]


@dataclass(kw_only=True)
class Disc:
    """Where the files of a study are put.

    Attributes:
        folder: of the study.
        template: path of a file in it, as :attr:`ctpdeploy.phantom.dicom.makers.Maker.files`.
        files: written so far.
    """

    folder: Path
    template: str
    files: list[Path] = field(default_factory=list)

    def write(self, data: Dataset, *, phase: int = 1) -> Path:
        """Write an object under its name."""
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        name = self.template.format(
            series=int(data.SeriesNumber), image=int(data.InstanceNumber), phase=phase, uid=data.SOPInstanceUID
        )
        path = self.folder / name
        if not self.files or path.parent != self.files[-1].parent:
            path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path, enforce_file_format=True)
        self.files.append(path)
        return path

    def copy(self, path: Path) -> None:
        """Put a file there a second time, as an export that was begun again does."""
        again = self.folder / "again" / path.name
        again.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, again)
        self.files.append(again)


def write_images(disc: Disc, identity: Identity, header: Dataset, space: Space, images: Iterable[Image]) -> list[Path]:
    """Write the images of a series; the header is changed from one to the next."""
    paths = []
    for image in images:
        position = space.position(image.k)
        header.SOPInstanceUID = identity.uid(image.word)
        header.ImagePositionPatient = decimals(position)
        header.SliceLocation = decimals([round(float(position @ space.normal), 6)])[0]
        for keyword, value in image.elements.items():
            setattr(header, keyword, value)
        header.PixelData = np.ascontiguousarray(image.stored).tobytes()
        header["PixelData"].VR = "OW"
        paths.append(disc.write(header))
    return paths
