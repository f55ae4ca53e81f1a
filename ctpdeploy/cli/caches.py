"""``ctpdeploy caches``: what is kept on this machine to save time, and its end."""

from collections.abc import Iterable
from typing import Annotated

import typer

from ctpdeploy import caches as places
from ctpdeploy.cli.terminal import print_json, print_table, say
from ctpdeploy.errors import BatchError, UnknownKeyError

__all__ = ["caches"]


def caches(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(help="cases: preprocessed patients; engines: for the GPU; speeds: of backends. Default: all."),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove it. All of it can be made again.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is there, or was removed, as JSON.")] = False,
) -> None:
    """List what is kept to save time, by place, or remove it; folders named by --cache are not known here.

    Preprocessed cases are patients' images. Cases and engines are for their owner's eyes alone.

    Example: ctpdeploy caches cases --clear
    """
    for kind in kinds or ():
        if kind not in places.KINDS:
            raise UnknownKeyError(kind, places.KINDS, "the kinds of what is kept")
    held = [held for held in places.holdings() if not kinds or held.kind in kinds]
    rows = [
        {"kind": one.kind, "folder": str(one.folder), "entries": len(one.entries), "bytes": one.size} for one in held
    ]
    if as_json:
        print_json({"folders": [str(folder) for folder in places.cache_folders()], "removed": clear, "held": rows})
    elif rows:
        cells = [[str(row["kind"]), str(row["folder"]), f"{row['entries']:,}", f"{row['bytes']:,}"] for row in rows]
        print_table(["kind", "folder", "entries", "bytes"], cells, words=2)
    else:
        say(f"Nothing is kept in {' or '.join(map(str, places.cache_folders()))}.")
    if clear and held:
        _clear(held)


def _clear(held: Iterable[places.Holding]) -> None:
    """Remove all that this user may."""
    left = []
    for one in held:
        try:
            one.clear()
        except OSError as error:
            left.append(f"{one.folder} ({error.strerror})")
    if left:
        raise BatchError(f"Not everything could be removed, {', '.join(left)} stays: do it as its owner.")
    say("All of this is removed.")
