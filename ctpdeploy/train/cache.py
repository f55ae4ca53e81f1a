"""Prepared cases on disk, so that the next run need not prepare them again.

One safetensors file a case. It is named by a SHA-256 over all that the case is made of: the names and contents of its
files, the settings of maps and preprocessing, and the versions of what does it. What has changed in any of these is
another entry, and none is ever out of date. Entries are never removed but by ``ctpdeploy caches``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import nibabel as nib
import numpy as np
import scipy

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.caches import CASES, private_cache
from ctpdeploy.home import make_folder
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.prepared_case import PreparedCase, pack, prepare, unpack

__all__ = ["CaseCache", "default_cache"]

PREPARATION: Final = 7
"""Version of all that lies between the files of a case and its entry: reading, perfusion maps, preprocessing, and the
layout of the entry. To be raised with any change after which the same files may give another entry, be it in a last
bit: once too often costs a preparation, once too seldom trains on what no longer holds."""


def default_cache() -> "CaseCache | None":
    """The cache in this user's folder; None if there is no place for it."""
    folder = private_cache(CASES)
    return None if folder is None else CaseCache(folder)


class CaseCache:
    """Prepared cases in a folder, which several processes may share.

    Args:
        folder: made when the first case is kept.

    Attributes:
        warnings: why cases are not kept, at most one sentence.
    """

    def __init__(self, folder: Path) -> None:
        self.warnings: tuple[str, ...] = ()
        self._folder = folder

    def read(self, ref: CaseRef, config: PreprocessConfig, perfusion: PerfusionConfig | None = None) -> PreparedCase:
        """The prepared case: from its entry, or else prepared and kept.

        Args:
            ref: of the case.
            config: of the preprocessing.
            perfusion: how maps are computed where the case has none; defaults to ``PerfusionConfig()``.

        An entry that is damaged is made anew. Where none can be written the case is returned all the same.

        Raises:
            InputError: the case cannot be read, or has no lesion.
        """
        ref.require_sound()
        perfusion = perfusion or PerfusionConfig()
        try:
            before = _state(ref.files)
            entry = self._folder / f"{self._key(ref, config, perfusion)}.safetensors"
        except OSError:
            return prepare(ref.read(perfusion), config)  # which raises a sentence on the fault of the file
        if (kept := unpack(entry)) is not None:
            return kept
        case = prepare(ref.read(perfusion), config)
        if _state(ref.files) == before:  # else what was read may not be what was digested
            self._keep(entry, case)
        return case

    def _key(self, ref: CaseRef, config: PreprocessConfig, perfusion: PerfusionConfig) -> str:
        """Digest of all that the case is made of; part and unit of the files are in their names."""
        contents = {part: [path.name, _digest(path)] for part, path in ref.files.items()}
        settings = {"preprocess": asdict(config), "perfusion": asdict(perfusion.stated())}
        given = {"case": ref.name, "files": contents, "frame_interval": ref.frame_interval}
        parts = {**given, **settings, "versions": _versions()}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _keep(self, entry: Path, case: PreparedCase) -> None:
        """Write an entry, which appears under its name when it is complete; after a failure no more are written."""
        if self.warnings:
            return
        try:
            make_folder(self._folder)
            with atomic_replace(entry) as partial:
                partial.write_bytes(pack(case))
        except OSError as error:
            reason = error.strerror or str(error)
            sentence = f"Prepared cases cannot be kept in {self._folder} ({reason}): the next run prepares them again."
            self.warnings = (sentence,)


def _versions() -> dict[str, str | int]:
    """Of what computes an entry: the preparation, and the libraries beneath it."""
    return {"preparation": PREPARATION} | {module.__name__: module.__version__ for module in (nib, np, scipy)}


def _state(files: Mapping[str, Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file."""
    return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in files.values())]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
