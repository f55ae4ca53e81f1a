"""Options that several commands have in the same words."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CacheFolder", "ConfigFile", "PatientTable"]

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
