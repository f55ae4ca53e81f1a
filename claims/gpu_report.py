"""Results of ``gpu.py``, as a section for docs/gpu-evidence.md."""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["markdown"]

_KINDS = ("without copies", "with copies", "series to mask")


def markdown(found: dict[str, Any]) -> str:
    """The section; figures are medians."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: dict[str, Any]) -> Iterator[str]:
    machine = found["machine"]
    if found["rehearsal"]:
        yield "> A rehearsal on the processor: these figures mean nothing.\n"
    yield f"## Measured on {', '.join(machine['gpus']) or machine['processor']}\n"
    yield f"{machine['processor']}, {machine['cores']} cores; CUDA {machine.get('cuda', '-')}; " + ", ".join(
        f"{name} {version}" for name, version in machine["versions"].items()
    )
    yield f"Networks of width {found['width']}, slices of {found['size']} x {found['size']}; random weights.\n"
    if found["ceilings"]:
        yield from _table(["ceiling", ""], [[name, f"{value:.4g}"] for name, value in found["ceilings"].items()])
    if found["kernels"]:
        yield from _table(["kernel", "case", "MB", "µs", "share of the copy"], [_kernel(x) for x in found["kernels"]])
    if found["checks"]:
        rows = [
            [name, *(f"{key} {value:.3g}" for key, value in check.items())] for name, check in found["checks"].items()
        ]
        width = max(map(len, rows))
        yield from _table(
            ["checked against float64", *[""] * (width - 1)], [row + [""] * (width - len(row)) for row in rows]
        )
    for kind in _KINDS:
        yield from _by_slices(found["by_slices"], kind)
    if memory := found["torch_memory_bytes"]:
        names = list(dict.fromkeys(name for of_count in memory.values() for name in of_count))
        rows = [[name, *(_gb(of_count.get(name)) for of_count in memory.values())] for name in names]
        yield from _table(["memory of a run in PyTorch, without weights, GB", *(f"{n} slices" for n in memory)], rows)
    if found["processes"]:
        rows = [
            [
                name,
                f"{x['first_mask_s']:.2f}",
                f"{x['startup_s']:.2f}",
                _gb(x["peak_bytes"]),
                _gb(x["gpu_peak_bytes"]),
            ]
            for name, x in found["processes"].items()
        ]
        yield from _table(["new process", "first mask s", "of these start-up s", "host GB", "GPU GB"], rows)
    for title, reasons in (("Left out", found["left_out"]), ("Wrong", found["wrong"])):
        if reasons:
            yield f"**{title}**\n"
            yield from (f"- {name}: {reason}" for name, reason in reasons.items())
            yield ""


def _kernel(kernel: dict[str, Any]) -> list[str]:
    share = kernel["share_of_copy"]
    return [
        kernel["kernel"],
        kernel["case"],
        f"{kernel['megabytes']:.1f}",
        f"{kernel['microseconds']:.1f}",
        "-" if share is None else f"{share:.0%}",
    ]


def _by_slices(by_slices: dict[Any, Any], kind: str) -> Iterator[str]:
    """A table with a row for each way to run the networks, and a column for each number of slices."""
    names = list(dict.fromkeys(name for found in by_slices.values() for name in found if kind in found[name]))
    if names:
        title = {"series to mask": "series to mask, both in memory"}.get(kind, f"networks {kind}")
        header = [f"{title}: ms (times eager)", *(f"{count} slices" for count in by_slices)]
        yield from _table(
            header, [[name, *(_cell(found, name, kind) for found in by_slices.values())] for name in names]
        )


def _cell(found: dict[str, Any], name: str, kind: str) -> str:
    figures = found.get(name, {}).get(kind)
    if figures is None:
        return "-"
    seconds, ratio = figures["seconds"], figures["times_eager"]
    tails = [f"{label} {seconds[label] * 1e3:.3g}" for label in ("p95", "p99") if seconds[label] is not None]
    text = f"{seconds['p50'] * 1e3:.3g}" + ("" if ratio is None else f" ({ratio:.2f})")
    return ", ".join([text, *tails])


def _gb(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e9:.2f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""
