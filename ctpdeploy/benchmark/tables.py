"""Results for people: a table for each question, a column for each backend."""

from collections.abc import Callable

from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.benchmark.results import BackendResults, Results
from ctpdeploy.benchmark.stages import UNACCOUNTED

__all__ = ["Table", "heading", "remarks", "tables"]

Table = tuple[list[str], list[list[str]]]
"""Header and rows; the first column are words."""

_MB, _MS = 1e6, 1e3
_NOTHING = "-"


def heading(results: Results) -> list[str]:
    """Lines above the tables: bundle and case, machine, and its ceilings in the same rounds."""
    machine, bundle, case = results.machine, results.bundle, results.case
    other = _NOTHING if results.other_cores is None else f"{results.other_cores:.2f}"
    volume = f"{case['slices']} slices of {case['rows']} x {case['columns']}, {case['frames']} frames"
    ran_at = f"the matrix product reached {_around(results.sgemm_gflops)} GFLOP/s"
    processors = ", ".join([machine["processor"], *machine["gpus"]])
    return [
        f"{bundle['name']} ({bundle['system']}, {bundle['precision']}); case {case['name']}: {volume}",
        f"{processors}; {machine['cores']} cores, {other} busy with other work",
        f"{results.rounds} rounds; in them {ran_at}, a copy {_around(results.copy_gb_per_s)} GB/s",
    ]


def tables(results: Results) -> list[Table]:
    """All tables."""
    stages = _by_backend(results, "files to files, s", _stages)
    first = next(iter(results.backends))
    found = [
        _by_backend(results, "outputs, against float64", _outputs),
        stages,
        _by_backend(results, "case to mask in memory, ms", _latencies),
        _by_backend(results, "folder and new process", lambda backend: _whole_runs(backend, results.folder_cases)),
    ]
    if len(results.backends) > 1:
        found.append(_by_backend(results, f"times as fast as {first}", _ratios))
    frames = [
        [str(cost.frames), _ms(cost.read_s), _ms(cost.checks_s), _ms(cost.preprocess_s)] for cost in results.by_frames
    ]
    return [*found, (["frames", "read ms", "of these checks", "preprocess ms"], frames)]


def remarks(results: Results) -> list[str]:
    """Remarks on the figures of this run, a sentence each."""
    return [
        f"The stages of {name} miss the time of the whole by {abs(backend.unaccounted):.1%}, more than "
        f"{UNACCOUNTED:.0%}: they overlap or something between them takes time."
        for name, backend in results.backends.items()
        if abs(backend.unaccounted) > UNACCOUNTED
    ]


def _by_backend(results: Results, title: str, figures: Callable[[BackendResults], dict[str, str]]) -> Table:
    """A row for each figure that any backend has."""
    columns = {name: figures(backend) for name, backend in results.backends.items()}
    rows = list(dict.fromkeys(row for column in columns.values() for row in column))
    return (
        [title, *columns],
        [[row, *(column.get(row, _NOTHING) for column in columns.values())] for row in rows],
    )


def _outputs(backend: BackendResults) -> dict[str, str]:
    check = backend.check
    return {
        "times eager float32's error": f"{check.times_eager_error:.3g}",
        "labels flipped": str(check.flips),
        "Dice of the masks": f"{check.dice:.5f}",
    }


def _stages(backend: BackendResults) -> dict[str, str]:
    rows: dict[str, str] = {}
    for stage, seconds in backend.stages_s.items():
        rows[stage] = f"{seconds:.3f}"
        if stage == "networks":
            rows |= {f"  {role}, alone": f"{share:.0%} of them" for role, share in backend.networks_share.items()}
    rows |= _tails("the whole", backend.files_s, 1.0, 3)
    return rows | {"unaccounted": f"{backend.unaccounted:.1%}"}


def _latencies(backend: BackendResults) -> dict[str, str]:
    rows: dict[str, str] = {}
    for cost in backend.by_slices:
        slices = f"{cost.slices} slice{'s' if cost.slices > 1 else ''}"
        rows |= _tails(slices, cost.latency_s, _MS, 1)
        rows[f"  networks, a slice of {cost.slices}"] = _ms(cost.networks_s / cost.slices)
    return rows


def _whole_runs(backend: BackendResults, cases: int) -> dict[str, str]:
    process = backend.process
    rows = {
        f"cases a minute, folder of {cases}": f"{60 / backend.folder_case_s:.1f}",
        "opening the backend, s": f"{backend.open_s:.2f}",
        "cold start to first mask, s": f"{process.first_mask_s:.2f}",
        "  until it reads the case": f"{process.startup_s:.2f}",
    }
    for title, peak in (("host", process.peak_bytes), ("GPU", process.gpu_peak_bytes)):
        if peak is not None:
            rows[f"peak memory of the {title}, MB"] = f"{peak / _MB:.0f}"
    return rows


def _ratios(backend: BackendResults) -> dict[str, str]:
    return {
        what: f"{ratio.p50:.2f} ({ratio.least:.2f}–{ratio.greatest:.2f})" for what, ratio in backend.times_first.items()
    }


def _tails(title: str, quantiles: Quantiles, factor: float, digits: int) -> dict[str, str]:
    """The median, and what lies behind it where there are enough values."""
    found = {title: quantiles.p50, f"  {title}, p95": quantiles.p95, f"  {title}, p99": quantiles.p99}
    return {name: f"{value * factor:.{digits}f}" for name, value in found.items() if value is not None}


def _around(quantiles: Quantiles) -> str:
    return f"{quantiles.p50:.0f} ({quantiles.least:.0f} at the least)"


def _ms(seconds: float) -> str:
    return f"{seconds * _MS:.1f}"
