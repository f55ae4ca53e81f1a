"""The tables of docs/performance.md, made from the results that are committed, so that no figure is typed.

python benchmarks/table.py            # print them
python benchmarks/table.py --write    # put them into the document, between its markers
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).parent / "results"
DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"
MACHINE: Final = "amd-epyc-2-cores"


def tables() -> dict[str, str]:
    """Markdown by the name of its marker."""
    peers, bundle = (json.loads((RESULTS / f"{kind}-{MACHINE}.json").read_text()) for kind in ("peers", "benchmark"))
    return {
        "conditions of peers": _conditions(peers),
        "one slice": _one_slice(peers),
        "whole case": _whole_case(peers),
        "floor": _floor(peers),
        "conditions of benchmark": _conditions(bundle),
        "stages": _stages(bundle),
        "growth with slices": _slices(bundle),
        "growth with frames": _frames(bundle),
        "process": _process(bundle),
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


def _conditions(found: dict[str, Any]) -> str:
    machine, other = found["machine"], found["other_cores"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    busy = "unknown" if other is None else f"{other:.2f} cores"
    host = f"{machine['processor']}, {machine['cores']} cores"
    return (
        f"{host}, {found['rounds']} rounds; meanwhile the matrix product ran at "
        f"{found['sgemm_gflops']['p50']:.0f} GFLOP/s ({found['sgemm_gflops']['least']:.0f} at the least), a copy at "
        f"{found['copy_gb_per_s']['p50']:.1f} GB/s, and other work kept {busy} busy. {versions}."
    )


def _one_slice(peers: dict[str, Any]) -> str:
    found = peers["one_slice"]
    rows = [
        [
            name,
            f"{x['seconds']['p50']:.2f}",
            f"{x['times_eager']:.2f}",
            f"{x['times_ort_cpu']:.2f}",
            f"{peers['gflop_a_slice'] / x['seconds']['p50']:.0f}",
            f"{x['rms_error_in_eagers']:.2f}",
            f"{x['ready_s']:.0f}",
        ]
        for name, x in found["peers"].items()
    ]
    head = ["one slice", "s", "times eager", "times ort-cpu", "GFLOP/s", "error, of eager's", "ready after s"]
    return "\n".join([_table(head, rows), *_not_timed(found)])


def _whole_case(peers: dict[str, Any]) -> str:
    found = peers["whole_case"]
    rows = [[name, f"{x['seconds']['p50']:.2f}", f"{x['times_script']:.2f}"] for name, x in found["peers"].items()]
    head = [f"{found['slices']} slices, files to mask", "s", "times the script"]
    return "\n".join([_table(head, rows), *_not_timed(found)])


def _not_timed(found: dict[str, Any]) -> list[str]:
    return [f"\nNot timed: {name}, because it {why}" for name, why in found["not_timed"].items()]


def _floor(peers: dict[str, Any]) -> str:
    gflop, speed = peers["gflop_a_slice"], peers["sgemm_gflops"]["p50"]
    names = ("ctpdeploy ort-cpu", "ctpdeploy ncnn")
    measured = {name: peers["one_slice"]["peers"][name]["seconds"]["p50"] for name in names}
    direct, winograd = gflop / speed, (gflop * 0.955 / 4 + gflop * 0.045) / speed
    rows = [
        ["direct convolutions", f"{gflop:.1f}", f"{direct:.2f}", *(f"{x / direct:.2f}" for x in measured.values())],
        [
            "Winograd F(4x4, 3x3), products alone",
            f"{winograd * speed:.1f}",
            f"{winograd:.2f}",
            *(f"{x / winograd:.2f}" for x in measured.values()),
        ],
    ]
    return _table(["floor of one slice", "GFLOP", "s", *(f"{name}, times it" for name in names)], rows)


def _stages(bundle: dict[str, Any]) -> str:
    backends = bundle["backends"]
    stages = list(dict.fromkeys(stage for x in backends.values() for stage in x["stages_s"]))
    rows = [[stage, *(f"{x['stages_s'].get(stage, 0):.3f}" for x in backends.values())] for stage in stages]
    rows.append(["the whole", *(f"{x['files_s']['p50']:.3f}" for x in backends.values())])
    rows.append(["unaccounted", *(f"{x['unaccounted']:.1%}" for x in backends.values())])
    for role in next(iter(backends.values()))["networks_share"]:
        shares = [f"{x['networks_share'][role]:.0%}" if x["networks_share"] else "-" for x in backends.values()]
        rows.append([f"of the networks: {role}", *shares])
    return _table([f"{bundle['case']['slices']} slices, files to files, s", *backends], rows)


def _slices(bundle: dict[str, Any]) -> str:
    backends = bundle["backends"]
    rows = []
    for costs in zip(*(x["by_slices"] for x in backends.values()), strict=True):
        slices = costs[0]["slices"]
        rows.append(
            [
                str(slices),
                *(f"{x['latency_s']['p50']:.2f}" for x in costs),
                *(f"{x['networks_s'] / slices:.2f}" for x in costs),
            ]
        )
    head = ["slices", *(f"{name}, s" for name in backends), *(f"{name}, networks a slice, s" for name in backends)]
    return _table(head, rows)


def _frames(bundle: dict[str, Any]) -> str:
    rows = [
        [str(x["frames"]), f"{x['read_s'] * 1e3:.0f}", f"{x['preprocess_s'] * 1e3:.0f}"] for x in bundle["by_frames"]
    ]
    return _table([f"frames ({bundle['case']['slices']} slices)", "read ms", "preprocess ms"], rows)


def _process(bundle: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{x['open_s']:.1f}",
            f"{x['process']['first_mask_s']:.1f}",
            f"{x['process']['startup_s']:.1f}",
            f"{60 / x['folder_case_s']:.1f}",
            f"{x['process']['peak_bytes'] / 1e9:.1f}",
        ]
        for name, x in bundle["backends"].items()
    ]
    return _table(
        [
            "folder, and new process",
            "opening s",
            "cold start to first mask s",
            "of it until it reads s",
            f"cases a minute, folder of {bundle['folder_cases']}",
            "peak memory GB",
        ],
        rows,
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def main() -> None:
    """Print or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.name}")
    made = tables()
    if parser.parse_args().write:
        DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8"), made), encoding="utf-8")
    else:
        print("\n\n".join(made.values()))


if __name__ == "__main__":
    main()
