"""Results of ``ctpdeploy benchmark`` and ``folder.py``, as the tables of docs/performance.md."""

from typing import Any

from figures import Figure
from markdown_table import table

__all__ = ["folder", "frames", "process", "slices", "stages"]


def stages(bundle: dict[str, Any]) -> str:
    """From files to files, stage by stage."""
    backends = bundle["backends"]
    stages = list(dict.fromkeys(stage for x in backends.values() for stage in x["stages_s"]))
    rows = [[stage, *(f"{x['stages_s'].get(stage, 0):.3f}" for x in backends.values())] for stage in stages]
    rows.append(["the whole", *(f"{x['files_s']['p50']:.3f}" for x in backends.values())])
    rows.append(["unaccounted", *(f"{x['unaccounted']:.1%}" for x in backends.values())])
    for role in next(iter(backends.values()))["networks_share"]:
        shares = [f"{x['networks_share'][role]:.0%}" if x["networks_share"] else "-" for x in backends.values()]
        rows.append([f"of the networks: {role}", *shares])
    return table([f"{bundle['case']['slices']} slices, files to files, s", *backends], rows)


def slices(bundle: dict[str, Any]) -> str:
    """Cost by number of slices."""
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
    return table(head, rows)


def frames(bundle: dict[str, Any]) -> str:
    """Cost by number of frames."""
    rows = [
        [str(x["frames"]), f"{x['read_s'] * 1e3:.0f}", f"{x['preprocess_s'] * 1e3:.0f}"] for x in bundle["by_frames"]
    ]
    return table([f"frames ({bundle['case']['slices']} slices)", "read ms", "preprocess ms"], rows)


def process(bundle: dict[str, Any]) -> str:
    """A folder, and a new process."""
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
    return table(
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


def folder(found: dict[str, Any]) -> str:
    """A folder of cases beside its networks alone."""
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in found["stages_s"].items() if stage != "networks")
    rows = [
        ["networks alone, s a slice", f"{found['networks_slice_s']['p50']:.3f}"],
        ["files to files, s a slice", f"{found['folder_slice_s']['p50']:.3f}"],
        ["speed, of the networks alone", str(Figure.of(found["of_networks"]))],
        ["core seconds a case beside the networks", f"{found['core_seconds_beside_networks_a_case']:.2f}"],
        ["stages beside the networks, s a case", stages],
    ]
    return table([f"{found['cases']} cases of {found['slices']} slices", found["backend"]], rows)
