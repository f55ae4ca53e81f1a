"""Timings of the backends behind ``auto``: the fastest of those measured on this machine with this bundle.

``ctpdeploy warmup`` measures once and keeps the figures in the machine's cache, or the user's; an entry names backends
and nothing else, so that the worst a forged one can do is to choose a slower one. Another bundle, machine or version of
a package has another entry.
"""

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.caches import SPEEDS, VARIABLE, cache_folders, make_as_open, shared_cache_folder
from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.packages import versions_of
from ctpdeploy.runtime.backends.processor import processor_name
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.scratch import require_room

__all__ = ["Speeds", "measure_speeds", "recall", "remember", "require_cache"]

_ENTRY_BYTES: Final = 2**12


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """The seconds that backends need for a slice.

    Attributes:
        seconds: for a slice of a volume by the name of the backend, the fastest first.
        date: when it was measured, ISO 8601.
    """

    seconds: Mapping[str, float]
    date: str

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value:.3g} s" for name, value in self.seconds.items())
        return f"{figures} a slice, measured on {self.date[:10]}"


def measure_speeds(
    engines: Mapping[str, Engine], volume: SliceBatch, progress: Callable[[str], None], *, rounds: int = 3
) -> Speeds:
    """Time engines on a volume in turns: what else the machine does then disturbs all of them alike.

    Args:
        engines: by the name of the backend; each has run before, so that none pays for its first run here.
        volume: that each runs on.
        progress: called before each run with the name of the backend.
        rounds: how often each runs; the median counts.
    """
    order = np.random.default_rng(0)
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(rounds):
        for name in order.permutation(list(engines)):
            progress(name)
            start = time.perf_counter()
            engines[name].run(volume)
            taken[name].append((time.perf_counter() - start) / len(volume.frames))
    medians = {name: float(np.median(values)) for name, values in taken.items()}
    ranked = dict(sorted(medians.items(), key=lambda item: item[1]))
    return Speeds(seconds=ranked, date=time.strftime("%Y-%m-%dT%H:%M:%S%z"))


def remember(bundle: Bundle, speeds: Speeds, packages: Iterable[str], folder: Path | None = None) -> Path:
    """Keep the speeds measured with a bundle on this machine.

    Args:
        bundle: that was run.
        speeds: as measured.
        packages: distributions that it depends on: with another version of any of them it is measured again.
        folder: of the cache; if None the machine's where this user may write it, else the user's.

    Returns:
        The file that it is kept in.

    Raises:
        UsageError: the folder cannot be written, or there is none.
    """
    place = _place(folder)
    file = place / _name(bundle, packages)
    try:
        mode = make_as_open(place)
        with atomic_replace(file, private=True) as partial:
            partial.write_text(json.dumps(asdict(speeds), indent=2) + "\n", encoding="utf-8")
            partial.chmod(mode)
    except OSError as error:
        raise _unwritable(place, error) from error
    return file


def require_cache(folder: Path | None = None) -> None:
    """Find out before the measuring whether figures can be kept.

    Args:
        folder: as for :func:`remember`.

    Raises:
        UsageError: as there.
    """
    place = _place(folder)
    try:
        make_as_open(place)
        require_room(place, _ENTRY_BYTES)
    except OSError as error:
        raise _unwritable(place, error) from error


def recall(bundle: Bundle, packages: Iterable[str], folder: Path | None = None) -> Speeds | None:
    """Speeds measured with a bundle on this machine; None if there are none, or they cannot be read any more.

    Args:
        bundle: that is to run.
        packages: as for :func:`remember`.
        folder: of the cache; if None the user's, and then the machine's.
    """
    name = _name(bundle, packages)
    found = (_read(place / SPEEDS / name) for place in ((folder,) if folder else cache_folders()))
    return next((speeds for speeds in found if speeds is not None), None)


def _place(folder: Path | None) -> Path:
    folder = folder or shared_cache_folder()
    if folder is None:
        raise UsageError(f"This user has no home to keep the figures in: name a folder by the variable {VARIABLE}.")
    return folder / SPEEDS


def _unwritable(place: Path, error: OSError) -> UsageError:
    return UsageError(f"{place} cannot be written ({error.strerror}): name another folder by the variable {VARIABLE}.")


def _read(file: Path) -> Speeds | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        seconds = {str(name): float(value) for name, value in found["seconds"].items()}
        if not all(math.isfinite(value) for value in seconds.values()):
            return None
        return Speeds(seconds=dict(sorted(seconds.items(), key=lambda item: item[1])), date=str(found["date"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _name(bundle: Bundle, packages: Iterable[str]) -> str:
    """Name of the entry, by all that the speeds depend on."""
    parts = {
        "bundle": bundle.sha256,
        "machine": [platform.node(), platform.machine(), processor_name(), os.cpu_count()],
        "versions": versions_of("ctpdeploy", *packages),
    }
    return f"{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()}.json"
