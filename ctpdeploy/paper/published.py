"""The tables as the source prints them, to stand beside what was measured; nothing else comes from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ctpdeploy.errors import UsageError

__all__ = ["Cell", "PublishedRow", "PublishedTable", "published_table"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of a table.

    Attributes:
        mean: over scans, or the figure itself where there is only one.
        std: over scans; None for a single figure, as the number of parameters.
    """

    mean: float
    std: float | None = None


@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One line of a table.

    Attributes:
        name: as printed.
        cells: by column; None where the source prints none.
    """

    name: str
    cells: Mapping[str, Cell | None]


@dataclass(frozen=True, kw_only=True)
class PublishedTable:
    """One table.

    Attributes:
        caption: as printed.
        row_header: name of the property in which its rows differ.
        columns: title by column.
        rows: by name.
    """

    caption: str
    row_header: str
    columns: Mapping[str, str]
    rows: Mapping[str, PublishedRow]


@cache
def published_table(number: int) -> PublishedTable:
    """A table of the source, 1 to 6; values as in ``published.json``, which names the source.

    Raises:
        UsageError: there is no such table.
    """
    tables = json.loads(files(__package__).joinpath("published.json").read_text(encoding="utf-8"))["tables"]
    if str(number) not in tables:
        raise UsageError(f"There is no table {number}: the source has {', '.join(tables)}.")
    table = tables[str(number)]
    rows = {
        row: PublishedRow(name=line["name"], cells={column: _cell(figure) for column, figure in line["cells"].items()})
        for row, line in table["rows"].items()
    }
    return PublishedTable(caption=table["caption"], row_header=table["row_header"], columns=table["columns"], rows=rows)


def _cell(figure: Mapping[str, float] | None) -> Cell | None:
    if figure is None:
        return None
    return Cell(mean=figure["value"]) if "value" in figure else Cell(mean=figure["mean"], std=figure["std"])
