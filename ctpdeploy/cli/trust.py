"""``ctpdeploy trust``: whose bundles this workstation opens."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctpdeploy.cli.terminal import print_json, print_table, say

if TYPE_CHECKING:
    from ctpdeploy.runtime.bundle.signature import PublicKey

__all__ = ["trust"]


def trust(
    key: Annotated[
        Path | None, typer.Argument(help="Public key (PEM) to trust. Without it: list all that are.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option(help="Name of a key, its file or its whole fingerprint: it is trusted no longer.")
    ] = None,
    machine: Annotated[
        bool, typer.Option("--machine", help="For all users of this machine, which takes an administrator.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the keys as JSON.")] = False,
) -> None:
    """Trust a key: from then on no bundle is opened on this workstation that a trusted key has not signed.

    That holds for every command and for Python, until --no-require-signature is given or the last key is removed. Keys
    of the machine and of the user count alike. A key is as good as the way it came: not beside the bundle.

    Example: ctpdeploy trust maker.pub
    """
    from ctpdeploy.errors import UsageError
    from ctpdeploy.runtime.bundle import trust as store

    if key is not None and remove is not None:
        raise UsageError("A key is trusted and another removed: do one after the other.")
    if key is not None:
        kept = store.trust(key, machine=machine)
        say(f"{kept.file} is trusted from now on. Let its maker confirm the fingerprint below.")
    elif remove is not None:
        say(f"{store.distrust(remove, machine=machine)} is removed.")
    found = {place: store.trusted_keys(machine=place == "machine") for place in ("user", "machine")}
    if as_json:
        print_json({"trusted": [_facts(one, place) for place, keys in found.items() for one in keys]})
    elif any(found.values()):
        rows = [[one.file.name, place, one.fingerprint] for place, keys in found.items() for one in keys]
        print_table(["key", "of", "SHA-256"], rows, words=3)
    else:
        say("No key is trusted: bundles are opened whoever made them.")


def _facts(key: "PublicKey", place: str) -> dict[str, str]:
    return {"name": key.file.name, "of": place, "sha256": key.fingerprint, "file": str(key.file)}
