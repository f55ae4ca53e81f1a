"""Disc: where the files of a study are put, and how they are called there."""

from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from ctpdeploy.phantom.dicom.template import Template

__all__ = ["Disc"]

AGAIN = "again"
"""Folder of files that are there a second time."""


@dataclass(kw_only=True)
class Disc:
    """The files of a study.

    Attributes:
        folder: of the study.
        template: path of a file in it, as :attr:`ctpdeploy.phantom.dicom.makers.Maker.files`.
        files: of DICOM, written so far.
    """

    folder: Path
    template: str
    files: list[Path] = field(default_factory=list)

    def write(self, content: bytes, *, series: int, image: int, uid: str) -> Path:
        """Write a file, called as the template says."""
        return self._write(self.folder / self.template.format(series=series, image=image, uid=uid), content)

    def put(self, data: Dataset, pixels: bytes = b"") -> Path:
        """Write an object that stands alone."""
        content = Template(data).fill({"SOPInstanceUID": data.SOPInstanceUID}, pixels)
        numbers = {"series": int(data.SeriesNumber), "image": int(data.InstanceNumber)}
        return self.write(content, **numbers, uid=data.SOPInstanceUID)

    def copy(self, path: Path) -> None:
        """Put a file there a second time, as an export does that was begun again."""
        self._write(self.folder / AGAIN / path.name, path.read_bytes())

    def _write(self, path: Path, content: bytes) -> Path:
        if not self.files or path.parent != self.files[-1].parent:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.files.append(path)
        return path
