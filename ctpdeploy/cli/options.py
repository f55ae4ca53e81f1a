"""Options that several commands have in the same words."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ctpdeploy.cli.terminal import say
from ctpdeploy.errors import UsageError

if TYPE_CHECKING:
    from ctpdeploy.runtime.bundle.trust import Signer

__all__ = [
    "AnySignature",
    "CacheFolder",
    "ConfigFile",
    "PatientTable",
    "RequiredSignature",
    "signer_of",
    "with_emulator",
]

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

RequiredSignature = Annotated[
    Path | None,
    typer.Option(
        "--require-signature",
        "--key",
        help="Public key (PEM) of whoever has to have signed the bundle. Default: one that ctpdeploy trust lists; "
        "where it lists none, unsigned bundles are opened.",
    ),
]

AnySignature = Annotated[
    bool, typer.Option("--no-require-signature", help="Open the bundle whoever made it, though keys are trusted.")
]


def signer_of(key: Path | None, anyone: bool) -> "Signer":
    """Who has to have signed the bundle; that nobody has to is said where this workstation trusts somebody.

    Raises:
        UsageError: both options are given.
    """
    from ctpdeploy.runtime.bundle.trust import ANYONE, trusted_keys

    if key is not None and anyone:
        raise UsageError("A signature is required and not required: give --require-signature or the other.")
    if not anyone:
        return key
    try:
        trusted = len(trusted_keys())
    except UsageError as error:  # it is not asked for
        say(f"Warning: {error}")
    else:
        if trusted:
            say("Warning: the signature is not checked, though this workstation trusts keys; reports say so.")
    return ANYONE


def with_emulator(backend: str) -> str:
    """Callback of ``--backend``: the emulated GPU joins the backends where it is named and there.

    Wheels leave ``ctpdeploy.emulator`` out; it is of a checkout alone.
    """
    if backend == EMULATED and find_spec("ctpdeploy.emulator"):
        from ctpdeploy.emulator.backend import BACKEND
        from ctpdeploy.runtime.backends.registry import HIDDEN

        HIDDEN[EMULATED] = BACKEND
    return backend
