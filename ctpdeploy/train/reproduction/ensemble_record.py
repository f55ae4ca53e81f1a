"""The record of an ensemble in a reproduction, beside its evaluation: what it is the mean of.

::

    OUT/ENSEMBLE/seed-0/ensemble.json    configuration of each run behind it, by its folder in OUT; the calibration
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ctpdeploy.atomic import atomic_replace
from ctpdeploy.errors import InputError
from ctpdeploy.train.calibration import Calibration

__all__ = ["is_of", "write_ensemble"]

_RECORD: Final = "ensemble.json"


def write_ensemble(folder: Path, out: Path, runs: Sequence[Path], calibration: Calibration) -> None:
    """Write it; the folder is made where it is not there.

    Args:
        folder: of the ensemble and a seed, or of a fold of them.
        out: folder of the reproduction.
        runs: behind the ensemble.
        calibration: of their mean.

    Raises:
        InputError: the configuration of a run cannot be read.
    """
    content = {"members": _configurations(out, runs), "calibration": asdict(calibration)}
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_replace(folder / _RECORD) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def is_of(folder: Path, out: Path, runs: Sequence[Path]) -> bool:
    """Whether an ensemble was made of these runs, configured as they are.

    Raises:
        InputError: its record or the configuration of a run cannot be read.
    """
    return bool(_read(folder / _RECORD).get("members") == _configurations(out, runs))


def _configurations(out: Path, runs: Sequence[Path]) -> dict[str, Any]:
    return {run.relative_to(out).as_posix(): _read(run / "config.json") for run in runs}


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file} cannot be read ({error!r}): remove {file.parent} and have it made again.") from error
