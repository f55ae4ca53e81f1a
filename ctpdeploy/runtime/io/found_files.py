"""Found files: those of a DICOM case as they were when it was found, before any header was read.

What is read later, geometry from one walk and pixels from another, is of one moment only if they are still the same.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from ctpdeploy.errors import InputError

__all__ = ["FoundFiles", "Mark", "marks_of"]

Mark = tuple[int, int, int]
"""Number, size and time in ns of a file: of another file, or of one written again, one of them is another."""


def marks_of(files: Iterable[Path]) -> dict[Path, Mark]:
    """The marks of those that are there and are files: whoever opens a pipe waits for its writer."""
    marks = {}
    for file in files:
        try:
            state = file.stat()
        except OSError:  # gone, or a link to nothing
            continue
        if S_ISREG(state.st_mode):
            marks[file] = state.st_ino, state.st_size, state.st_mtime_ns
    return marks


@dataclass(frozen=True, kw_only=True)
class FoundFiles:
    """The files of a case.

    Attributes:
        place: folder that they lie in, or the archive that they are.
        marks: of each file in it, whether of the case or not.
        study: Study Instance UID.
        series: Series Instance UIDs of the scan.
    """

    place: Path
    marks: Mapping[Path, Mark] = field(repr=False)
    study: str = field(repr=False)
    series: Sequence[str] = field(repr=False)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the UIDs, by which nobody can be known: what files alone do not say of a result made of them."""
        words = {"study": self.study, "series": "\\".join(self.series)}
        return {part: hashlib.sha256(word.encode()).hexdigest() for part, word in words.items()}

    def require_same(self) -> None:
        """Refuse files of which one has changed, come or gone since.

        Raises:
            InputError: one has.
        """
        if marks_of(self.marks) != self.marks or self._come():
            raise InputError(
                f"Files in {self.place} have changed since it was searched: run it again when all are there."
            )

    def _come(self) -> bool:
        """Whether a file is there that was not. Links to folders are not followed: they lead to what was marked."""
        for parent, folders, names in os.walk(self.place):
            folders[:] = [name for name in folders if name[0] != "."]
            files = [Path(parent, name) for name in names if name[0] != "."]
            if any(file not in self.marks and file.is_file() for file in files):
                return True
        return False
