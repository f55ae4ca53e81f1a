"""Names of rows as the tables print them, set for pictures."""

import re

from ctpdeploy.paper.published import published_table

__all__ = ["row_label"]

_CITATION = re.compile(r" \([^()]*\d{4}\)$")
_SCRIPTED = re.compile(r"([A-Za-zℓ]+)((?:[_^](?:\{[^{}]*\}|[A-Za-z0-9]+|\*))+)")
_SCRIPT = re.compile(r"([_^])\{?([^{}_^]+)\}?")


def row_label(table: int, row: str) -> str:
    r"""The printed name of a row in matplotlib's mathtext, without the citation that follows a network's name.

    ``DWI^{o,l} (s)`` becomes ``$\mathrm{DWI}^{o,l}$ (s)``, ``UNet (Ronneberger et al., 2015)`` becomes ``UNet``.
    """
    printed = _CITATION.sub("", published_table(table).rows[row].name)
    return _SCRIPTED.sub(lambda match: f"${_symbol(match[1])}{_SCRIPT.sub(_script, match[2])}$", printed)


def _script(match: re.Match[str]) -> str:
    return f"{match[1]}{{{_symbol(match[2]) if match[2].isalpha() else match[2]}}}"


def _symbol(name: str) -> str:
    """A word upright, a letter in italics."""
    if name == "ℓ":
        return r"\ell"
    return name if len(name) == 1 else rf"\mathrm{{{name}}}"
