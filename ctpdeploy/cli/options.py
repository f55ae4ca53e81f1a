"""Options that several commands have in the same words."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final

import typer

__all__ = ["CacheFolder", "ConfigFile", "PatientTable", "with_emulator"]

EMULATED: Final = "cuda-host"
"""Name of the emulated GPU among the backends."""

ConfigFile = Annotated[Path | None, typer.Option(help="TOML file on top of the preset.")]

PatientTable = Annotated[
    Path | None, typer.Option(help="CSV with columns case,patient: scans of one patient stay on one side.")
]

CacheFolder = Annotated[
    Path | None,
    typer.Option(
        help="Folder where preprocessed cases are kept for later runs, by content; delete it to clear. "
        "Default: the user's cache folder."
    ),
]


def with_emulator(backend: str) -> str:
    """Callback of ``--backend``: the emulated GPU joins the backends where it is named and there.

    Wheels leave ``ctpdeploy.emulator`` out; it is of a checkout alone.
    """
    if backend == EMULATED and find_spec("ctpdeploy.emulator"):
        from ctpdeploy.emulator.backend import BACKEND
        from ctpdeploy.runtime.backends.registry import HIDDEN

        HIDDEN[EMULATED] = BACKEND
    return backend
