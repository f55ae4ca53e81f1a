"""The tables of the README and of docs/performance.md, made from the results that are committed: no figure is typed.

python claims/table.py                         # print them
python claims/table.py --write                 # put them into the documents, between their markers
python claims/table.py --take bench --write    # after the results that make bench left there have been taken
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import Any, Final

import bundle_tables
import peer_tables
from figures import GRIDS, TOLERANCE, Figure
from published_results import SCHEMAS, committed, read_results, take

from ctpdeploy.errors import CtpdeployError

__all__ = ["PERFORMANCE", "README", "tables", "written"]

ROOT: Final = Path(__file__).parents[1]
README: Final = ROOT / "README.md"
PERFORMANCE: Final = ROOT / "docs" / "performance.md"
_COLUMNS: Final = 120


def tables(results: dict[str, dict[str, Any]]) -> dict[Path, dict[str, str]]:
    """Markdown by the name of its marker, by document.

    Args:
        results: by their kind.
    """
    peers, bundle = results["peers"], results["benchmark"]
    return {
        README: {
            **{name: peer_tables.in_readme(grid(results[kind])) for name, (kind, grid) in GRIDS.items()},
            "conditions of speed": _spread(peers),
        },
        PERFORMANCE: {
            "conditions of peers": _conditions(peers),
            "one slice": peer_tables.one_slice(peers),
            "whole case": peer_tables.whole_case(peers),
            "floor": peer_tables.floor(peers),
            "conditions of benchmark": _conditions(bundle),
            "stages": bundle_tables.stages(bundle),
            "growth with slices": bundle_tables.slices(bundle),
            "growth with frames": bundle_tables.frames(bundle),
            "process": bundle_tables.process(bundle),
            "folder": bundle_tables.folder(results["folder"]),
        },
    }


def written(document: str, made: dict[str, str]) -> str:
    """The document with every table in the place of the one before.

    Raises:
        ValueError: a table has no marker.
    """
    for name, table in made.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        document, count = pattern.subn(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", document)
        if count != 1:
            raise ValueError(f"{name} has {count} markers")
    return document


def _spread(peers: dict[str, Any]) -> str:
    """The README's sentences on its figures."""
    said = (
        f"{_machine(peers)} Of each ratio the median of {peers['rounds']} rounds, in brackets the least and the "
        f"greatest; *ceilings* are in italics. `make bench` takes a ratio for reproduced if its median lies within the "
        f"brackets, give or take {100 * TOLERANCE:.0f} %; seconds are of this run alone."
    )
    return textwrap.fill(said, _COLUMNS, break_on_hyphens=False)


def _conditions(found: dict[str, Any]) -> str:
    other = found["other_cores"]
    versions = ", ".join(f"{name} {version}" for name, version in found["machine"]["versions"].items())
    busy = "unknown" if other is None else f"{other:.2f} cores"
    return f"{_machine(found)} {found['rounds']} rounds; other work kept {busy} busy. {versions}."


def _machine(found: dict[str, Any]) -> str:
    product, copy = (Figure.of(found[ceiling]) for ceiling in ("sgemm_gflops", "copy_gb_per_s"))
    machine = found["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores; in the same rounds its matrix product ran at "
        f"{product.p50:.0f} GFLOP/s ({product.least:.0f}–{product.greatest:.0f}), a copy at {copy.p50:.1f} GB/s "
        f"({copy.least:.1f}–{copy.greatest:.1f})."
    )


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, metavar="FOLDER", help="first let the results in there be committed")
    parser.add_argument("--write", action="store_true", help="into the documents")
    options = parser.parse_args()
    try:
        if options.take:
            take(options.take)
        made = tables({kind: read_results(kind, committed(kind)) for kind in SCHEMAS})
    except CtpdeployError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    for document, of_document in made.items():
        if options.write:
            document.write_text(written(document.read_text(encoding="utf-8"), of_document), encoding="utf-8")
        else:
            print("\n\n".join(of_document.values()), end="\n\n")


if __name__ == "__main__":
    main()
