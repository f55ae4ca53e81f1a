"""The committed results behind the documents, and their replacement by those of a new run."""

import json
import shutil
from pathlib import Path
from typing import Any, Final

from ctpdeploy.benchmark.results import SCHEMA as BENCHMARK
from ctpdeploy.errors import InputError

__all__ = ["MACHINE", "SCHEMAS", "WIDTH", "committed", "kind_of_machine", "read_results", "take"]

MACHINE: Final = "amd-epyc-2-cores"
SCHEMAS: Final = {"peers": 2, "benchmark": BENCHMARK, "folder": 1}
"""Of the results that documents are made from, by their kind."""
WIDTH: Final = 64
"""Of the networks."""
BUSY: Final = 0.3
"""Cores that other work may have kept busy: where it disturbs rounds, the spread is too wide to be of use."""

RESULTS: Final = Path(__file__).parent / "results"


def committed(kind: str, results: Path = RESULTS) -> Path:
    """File of the committed results of a kind."""
    return results / f"{kind}-{MACHINE}.json"


def read_results(kind: str, file: Path) -> dict[str, Any]:
    """Results of a benchmark.

    Raises:
        InputError: there is no such file, or another version wrote it.
    """
    if not file.is_file():
        raise InputError(f"There is no {file}: run make bench.")
    found = json.loads(file.read_text(encoding="utf-8"))
    if found.get("schema") != SCHEMAS[kind]:
        raise InputError(
            f"{file} was written by another version of the benchmark: run make bench, and take its results."
        )
    return found


def kind_of_machine(found: dict[str, Any]) -> str:
    """As results are named: processor and cores."""
    machine = found["machine"]
    return f"{'-'.join(machine['processor'].lower().split())}-{machine['cores']}-cores"


def take(folder: Path, results: Path = RESULTS) -> None:
    """Let what ``make bench`` left in a folder take the place of the results that are committed.

    Raises:
        InputError: results are missing, of another version, of narrower networks, of another kind of machine or of one
            that had other work; then nothing is taken.
    """
    files = {kind: folder / f"{kind}.json" for kind in SCHEMAS}
    for kind, file in files.items():
        found = read_results(kind, file)
        if kind_of_machine(found) != MACHINE:
            raise InputError(f"{file} is of {kind_of_machine(found)}, the documents speak of {MACHINE}: measure there.")
        if (found["other_cores"] or 0) > BUSY:
            busy = f"{found['other_cores']:.2f} cores were busy with other work"
            raise InputError(f"{file} was measured while {busy}: run make bench on a quiet machine.")
        width = found["width"] if "width" in found else int(found["bundle"]["name"].split("-")[1])
        if width != WIDTH:
            raise InputError(f"{file} is of networks of width {width}: run make bench with WIDTH={WIDTH}.")
    for kind, file in files.items():
        shutil.copy(file, committed(kind, results))
