"""The figures of README's speed section: ratios within rounds, with their spread, and whether another run gives them.

Ratios travel between machines of a kind, seconds do not: those stand beside, and the ceilings are rows of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["GRIDS", "TOLERANCE", "Figure", "Grid", "folder", "is_ours", "one_slice", "whole_case"]

TOLERANCE: Final = 0.1
"""By this share a median may leave the spread that is stated: two runs on a shared machine differ by as much."""

_COMPARED: Final = ("torch eager", "torch.compile max-autotune", "ONNX Runtime, plain export")
"""Of the other ways to run a slice, those that the README names; docs/performance.md has all."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One ratio.

    Attributes:
        p50: median over rounds.
        least: of the rounds.
        greatest: of the rounds.
    """

    p50: float
    least: float
    greatest: float

    @classmethod
    def of(cls, found: Mapping[str, float] | float) -> "Figure":
        """The figure of a JSON value: of quantiles, or of a number that is the same in every round."""
        if isinstance(found, Mapping):
            return cls(p50=found["p50"], least=found["least"], greatest=found["greatest"])
        return cls(p50=found, least=found, greatest=found)

    def __str__(self) -> str:
        spread = "" if self.is_fixed else f" ({self.least:.2f}–{self.greatest:.2f})"
        return f"{self.p50:.2f}{spread}"

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same in every round."""
        return self.least == self.greatest

    def share_of(self, limit: float) -> "Figure":
        """The same in units of what is the limit in every round."""
        return Figure(p50=self.p50 / limit, least=self.least / limit, greatest=self.greatest / limit)

    def holds(self, again: "Figure") -> bool:
        """Whether the median of another run lies within the spread of this one, give or take the tolerance."""
        return self.least * (1 - TOLERANCE) <= again.p50 <= self.greatest * (1 + TOLERANCE)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of figures.

    Attributes:
        title: of the benchmark.
        rows: figures by what they are, by what ran.
        seconds: medians, by what ran; of one machine in one run.
        ceilings: those of the rows that no algorithm of their kind passes.
    """

    title: str
    rows: Mapping[str, Mapping[str, Figure]]
    seconds: Mapping[str, float]
    ceilings: frozenset[str]


def one_slice(peers: Mapping[str, Any]) -> Grid:
    """One slice through the networks, from the results of peers.py."""
    found = peers["one_slice"]
    columns = {
        "times eager": "times_eager",
        "times ort-cpu": "times_ort_cpu",
        "times the matrix product": "of_matrix_product",
        "error, of eager's": "rms_error_in_eagers",
    }
    rows = {name: x for name, x in found["peers"].items() if name in _COMPARED or is_ours(name)}
    return _grid(f"one slice of {peers['size']} x {peers['size']}", rows, found["ceilings"], columns)


def whole_case(peers: Mapping[str, Any]) -> Grid:
    """A case from its files to a mask on disk, from the results of peers.py."""
    found = peers["whole_case"]
    columns = {"times the script": "times_script", "times the matrix product": "of_matrix_product"}
    return _grid(f"{found['slices']} slices, files to mask", found["peers"], found["ceilings"], columns)


def folder(found: Mapping[str, Any]) -> Grid:
    """A folder of cases from files to masks and pictures beside its networks alone, from the results of folder.py."""
    name = f"ctpdeploy {found['backend']}"
    return Grid(
        title=f"folder of {found['cases']} cases of {found['slices']} slices, files to masks and pictures",
        rows={name: {"speed, of the networks alone": Figure.of(found["of_networks"])}},
        seconds={name: found["folder_slice_s"]["p50"]},
        ceilings=frozenset(),
    )


GRIDS: Final = {
    "speed of a slice": ("peers", one_slice),
    "speed of a case": ("peers", whole_case),
    "speed of a folder": ("folder", folder),
}
"""The tables of the README by their markers: the kind of results that is read, and what makes the table of them."""


def is_ours(name: str) -> bool:
    """Whether it is a backend of ctpdeploy, by what it is called in results, which may be of another version."""
    return name.startswith("ctpdeploy ")


def _grid(title: str, peers: Mapping[str, Any], ceilings: Mapping[str, Any], columns: Mapping[str, str]) -> Grid:
    found = {**peers, **ceilings}
    return Grid(
        title=title,
        rows={
            name: {column: Figure.of(x[key]) for column, key in columns.items() if key in x}
            for name, x in found.items()
        },
        seconds={name: x["seconds"]["p50"] for name, x in found.items()},
        ceilings=frozenset(ceilings),
    )
