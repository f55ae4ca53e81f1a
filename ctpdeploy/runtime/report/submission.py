"""A submission to ISLES 2018: a mask for each test case under the name that the challenge requires.

::

    OUT/submission/
      SMIR.<name>.<id>.nii     uint8 {0, 1}, not compressed; id: the six digits of the case's CT_MTT file
      <name>.zip               all of these, to be uploaded

Header and geometry are those of the CT_MTT file.
"""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from ctpdeploy.atomic import atomic_folder
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.io.nifti import Volume, read_volume

__all__ = ["SUBMISSION", "Submission"]

SUBMISSION = "submission"
"""Name of the folder in the folder of results."""

_NAME = re.compile(r"[0-9A-Za-z_-]+")
_ID = re.compile(r"\.([0-9]{6})\.nii(?:\.gz)?$")


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """The file for one case, and the map whose id and header it takes."""

    file: str
    mtt: Path


class Submission:
    """A submission in the making: cases are admitted before the networks run, and written when all are done.

    Args:
        name: of the files.

    Raises:
        UsageError: the name holds anything but letters, digits, ``_`` and ``-``; the challenge splits names at dots.
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(f"'{name}' is no name for a submission: give letters, digits, _ and - only, no dots.")
        self.name = name
        self._entries: dict[str, _Entry] = {}

    def admit(self, case: str, mtt: Path | None) -> None:
        """Give a case its place.

        Raises:
            InputError: there is no MTT map, its name holds no id, or another case has the same id.
        """
        identifier = _ID.search(mtt.name) if mtt else None
        if mtt is None or identifier is None:
            found = f"its MTT map is called {mtt.name}" if mtt else "it has no MTT map"
            raise InputError(
                f"{case} cannot be submitted, since {found}: the challenge knows a case by the six digits of a file "
                "named like SMIR.Brain.XX.O.CT_MTT.345565.nii."
            )
        entry = _Entry(file=f"SMIR.{self.name}.{identifier[1]}.nii", mtt=mtt)
        for other, taken in self._entries.items():
            if taken.file == entry.file and other != case:
                raise InputError(f"{case} and {other} have the same MTT id {identifier[1]}: submit only one of them.")
        self._entries[case] = entry

    def unfit(self, masks: Mapping[str, Path]) -> dict[str, InputError]:
        """Reasons of the admitted cases whose mask cannot be submitted, by their names.

        Args:
            masks: mask file of each case.
        """
        reasons = {}
        for case, mask in masks.items():
            try:
                _require_same_shape(read_volume(mask), read_volume(self._entries[case].mtt))
            except InputError as error:
                reasons[case] = error
        return reasons

    def write(self, folder: Path, masks: Mapping[str, Path]) -> dict[str, str]:
        """Write the masks of admitted cases and their archive; the folder appears whole or not at all.

        Args:
            folder: where to; an earlier submission there is replaced.
            masks: mask file of each case, on the voxels of its MTT map.

        Returns:
            The file of each case.

        Raises:
            InputError: a file cannot be read, or a mask does not fit its MTT map.
        """
        with atomic_folder(folder, replace=True) as content:
            for case, mask in masks.items():
                entry = self._entries[case]
                _write(content / entry.file, read_volume(mask), read_volume(entry.mtt))
            files = {case: self._entries[case].file for case in masks}
            with zipfile.ZipFile(content / f"{self.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
                for file in files.values():
                    archive.write(content / file, file)
        return files


def _write(path: Path, mask: Volume, mtt: Volume) -> None:
    """Write a mask, in the axes of its file, with the header of the MTT map."""
    _require_same_shape(mask, mtt)
    header = mtt.header.copy()
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"] = header["cal_max"] = 0
    nib.save(nib.Nifti1Image((mask.data > 0).astype(np.uint8), header.get_best_affine(), header), path)


def _require_same_shape(mask: Volume, mtt: Volume) -> None:
    if mask.data.shape != mtt.data.shape:
        raise InputError(
            f"{mask.path} has shape {mask.data.shape}, {mtt.path.name} {mtt.data.shape}: infer again without --resume."
        )
