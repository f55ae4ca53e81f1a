"""Prepared cases on disk, so that the next run need not prepare them again.

One safetensors file a case. It is named by a SHA-256 over all that the case is made of: the names and contents of its
files, the settings of the preprocessing, and the code that does it. What has changed in any of these is therefore
another entry, and none is ever out of date. Entries are never removed: delete the folder to clear it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files as package_files
from pathlib import Path

import nibabel as nib
import numpy as np
import platformdirs
import scipy

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.prepared_case import PreparedCase, pack, prepare, unpack

__all__ = ["CaseCache", "default_folder"]

SOURCES = (
    *(
        "runtime/io/cases.py",
        "runtime/io/isles2018.py",
        "runtime/io/isles2024.py",
        "runtime/io/nifti_case.py",
        "runtime/io/nifti.py",
    ),
    *("runtime/io/nifti_voxels.py", "runtime/io/compression.py", "runtime/preprocess/temporal_summary.py"),
    *(
        "runtime/data/case.py",
        "runtime/perfusion/maps.py",
        "runtime/perfusion/arteries.py",
        "runtime/perfusion/brain.py",
    ),
    *(
        "runtime/preprocess/preprocess.py",
        "runtime/preprocess/perfusion_window.py",
        "train/prepared_case.py",
        "train/cache.py",
    ),
)
"""The modules between the files of a case and its entry; a test compares them with what these import."""


def default_folder() -> Path:
    """Where the user's caches are on this system."""
    return platformdirs.user_cache_path("ctpdeploy", appauthor=False) / "cases"


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
        self._code = _code()

    def read(self, ref: CaseRef, config: PreprocessConfig) -> PreparedCase:
        """The prepared case: from its entry, or else prepared and kept.

        An entry that is damaged is made anew. Where none can be written the case is returned all the same.

        Raises:
            InputError: the case cannot be read, or has no lesion.
        """
        ref.require_sound()
        try:
            before = _state(ref.files)
            entry = self._folder / f"{self._key(ref.name, ref.files, config)}.safetensors"
        except OSError:
            return prepare(ref.read(), config)  # which says in a sentence what is wrong with the file
        if (kept := unpack(entry)) is not None:
            return kept
        case = prepare(ref.read(), config)
        if _state(ref.files) == before:  # else what was read may not be what was digested
            self._keep(entry, case)
        return case

    def _key(self, identifier: str, files: Mapping[str, Path], config: PreprocessConfig) -> str:
        """Digest of all that the case is made of; the names of the files say what they hold and in which unit."""
        contents = {part: [path.name, _digest(path)] for part, path in files.items()}
        parts = {"case": identifier, "files": contents, "preprocess": asdict(config), "code": self._code}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _keep(self, entry: Path, case: PreparedCase) -> None:
        """Write an entry, which appears under its name when it is complete; after a failure no more are written."""
        if self.warnings:
            return
        try:
            entry.parent.mkdir(parents=True, exist_ok=True)
            with atomic_replace(entry) as partial:
                partial.write_bytes(pack(case))
        except OSError as error:
            reason = error.strerror or str(error)
            sentence = f"Prepared cases cannot be kept in {self._folder} ({reason}): the next run prepares them again."
            self.warnings = (sentence,)


def _code() -> dict[str, str]:
    """What computes an entry: the sources themselves, so that nobody has to think of raising a number."""
    package = package_files("ctpdeploy")
    sources = {name: hashlib.sha256((package / name).read_bytes()).hexdigest() for name in SOURCES}
    return sources | {module.__name__: module.__version__ for module in (nib, np, scipy)}


def _state(files: Mapping[str, Path]) -> list[tuple[int, int]]:
    """Size and time of change of each file."""
    return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in files.values())]


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
