"""The seal of a result: digests of the files that it was made of and of those that it consists of.

``digests.json`` lies in the folder of a result and is written last. Where it holds, the result is whole, unharmed, and
of these very inputs, whatever their names and dates are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.io.found_files import FoundFiles
from ctpdeploy.runtime.report.writers import DIGESTS, RECEIPT, own_files

__all__ = ["InputState", "digests_of", "is_of_another", "require_whole", "seal", "seal_holds"]


class InputState:
    """The files of a case at one moment, to tell whether what was read is what was digested.

    Args:
        files: by what they hold; a folder stands for all files in it.
        found: as for :func:`digests_of`.

    Attributes:
        digests: SHA-256 of each.

    Raises:
        OSError: one cannot be read.
    """

    def __init__(self, files: Mapping[str, Path], found: FoundFiles | None = None) -> None:
        self._files = files
        self._marks = _marks(files)
        self.digests = digests_of(files, found)

    def require_same(self) -> None:
        """Refuse files that have changed since.

        Raises:
            InputError: they have.
        """
        try:
            same = _marks(self._files) == self._marks
        except OSError:  # one is gone
            same = False
        if not same:
            names = ", ".join(sorted({str(path.parent) for path in self._files.values()}))
            raise InputError(f"Files in {names} changed while they were read: run it again when they are complete.")


def digests_of(files: Mapping[str, Path], found: FoundFiles | None = None) -> dict[str, str]:
    """SHA-256 of the content of each file; of a folder, over the names and contents of all files in it.

    Args:
        files: by what they hold.
        found: the files that a folder stands for, and what else tells one result of them from another.

    Raises:
        OSError: one cannot be read.
    """
    members = None if found is None else list(found.marks)
    return {part: _digest(path, members) for part, path in files.items()} | (found.digests if found else {})


def seal(result: Path, inputs: Mapping[str, str]) -> None:
    """Seal a result as it is now.

    Args:
        result: its folder.
        inputs: digests of the files that it was made of.
    """
    content = {"inputs": dict(inputs), "files": digests_of(_files(result))}
    with atomic_replace(result / DIGESTS) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def seal_holds(result: Path, files: Mapping[str, Path], found: FoundFiles | None = None) -> bool:
    """Whether a result was made of files with these contents, and none of its own is missing, changed or new.

    What others have put beside them does not matter.

    Args:
        result: its folder.
        files: of the case, by what they hold.
        found: as for :func:`digests_of`.

    Raises:
        OSError: one of them cannot be read.
    """
    sealed = _unharmed(result)
    return sealed is not None and sealed["inputs"] == digests_of(files, found)


def is_of_another(result: Path, found: FoundFiles) -> bool:
    """Whether what lies there was made of another DICOM study; what has no seal, or is of no study, says nothing.

    Args:
        result: its folder.
        found: of a case.
    """
    try:
        inputs = json.loads((result / DIGESTS).read_text(encoding="utf-8"))["inputs"]
        return bool(inputs.get("study", found.digests["study"]) != found.digests["study"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def require_whole(result: Path) -> dict[str, str]:
    """SHA-256 of the files that a sealed result consists of, by their names in its folder.

    Whether its inputs are still there, and the same, does not matter.

    Raises:
        InputError: it has no seal, or a file is missing, changed or new since.
    """
    if not (result / DIGESTS).is_file():
        raise InputError(f"{result} has no seal ({DIGESTS}) and may not be whole: let ctpdeploy infer write it again.")
    sealed = _unharmed(result)
    if sealed is None:
        raise InputError(
            f"{result} does not match its seal ({DIGESTS}), so a file is missing, changed or new: let ctpdeploy infer "
            "write it again."
        )
    return dict(sealed["files"])


def _unharmed(result: Path) -> dict[str, dict[str, str]] | None:
    """The digests of a seal that holds for the result's own files; None where it does not."""
    try:
        sealed = json.loads((result / DIGESTS).read_text(encoding="utf-8"))
        same = sealed["files"] == digests_of(_files(result)) and isinstance(sealed["inputs"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sealed if same else None


def _files(result: Path) -> dict[str, Path]:
    """What is sealed: all that was written but the seal, and receipts, which come later."""
    own = (path for path in own_files(result) if path.name not in (DIGESTS, RECEIPT))
    return {path.relative_to(result).as_posix(): path for path in own}


def _digest(path: Path, members: Sequence[Path] | None = None) -> str:
    if path.is_dir():
        members = _members(path) if members is None else members
        with ThreadPoolExecutor() as pool:  # reading and hashing release the interpreter
            digests = pool.map(_digest, members)
            content = {str(file.relative_to(path)): digest for file, digest in zip(members, digests, strict=True)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _members(path: Path) -> list[Path]:
    """The file, or all files in the folder at any depth."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _marks(files: Mapping[str, Path]) -> list[tuple[Path, int, int, int]]:
    states = [(file, file.stat()) for path in files.values() for file in _members(path)]
    return [(file, state.st_ino, state.st_size, state.st_mtime_ns) for file, state in states]
