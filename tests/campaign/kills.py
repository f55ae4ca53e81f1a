"""Kills: a run over many cases ended by SIGKILL at any moment, after which every result is whole or is none."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from ctpdeploy.runtime import CaseRef
from ctpdeploy.runtime.cohort.seal import seal_holds

Verdict = str
FAILURES = ("HALF", "OTHER", "LEFT")
"""A result that is not whole; one that is another than undisturbed; something left behind when all is done."""


def run_kills(
    bundle: Path,
    cases: Sequence[CaseRef],
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: Callable[[int, Verdict, str], None] = lambda *_: None,
) -> Counter[Verdict]:
    """Runs killed at random moments, each resumed by the next, and now and then one that may end.

    Args:
        bundle: of the networks.
        cases: in one folder.
        work: folder for results, removed again.
        count: runs that are killed.
        seed: of the moments.
        on_outcome: called with the number, the verdict and the words of each.
    """
    folder = cases[0].folder.parent
    start = time.perf_counter()
    _finish(_started(bundle, folder, work / "undisturbed"))
    longest = time.perf_counter() - start
    right = _masks(work / "undisturbed")
    counts: Counter[Verdict] = Counter()
    rng = np.random.default_rng(seed)
    out = work / "killed"
    for number in range(count):
        child = _started(bundle, folder, out, "--resume")
        time.sleep(float(rng.uniform(0.2, 1.0)) * longest)
        ended = child.poll() is not None
        if not ended:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        verdict, words = _judged(out, cases, right)
        if ended:
            verdict, words = (verdict, words) if verdict in FAILURES else _ended(out, cases)
            shutil.rmtree(out)
        counts[verdict] += 1
        on_outcome(number, verdict, words)
    _finish(_started(bundle, folder, out, "--resume"))
    verdict, words = _ended(out, cases)
    if _masks(out) != right:
        verdict, words = "OTHER", "after all was done"
    counts[verdict] += 1
    on_outcome(count, verdict, words)
    shutil.rmtree(work)
    return counts


def _started(bundle: Path, folder: Path, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [
        sys.executable,
        "-m",
        "ctpdeploy",
        "infer",
        bundle,
        folder,
        "--out",
        out,
        "--backend",
        "ort-cpu",
        *options,
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        list(map(str, [*command, "--backend", "ort-cpu"])),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _finish(child: "subprocess.Popen[bytes]") -> None:
    if child.wait():
        raise AssertionError(f"an undisturbed run ended with {child.returncode}")


def _masks(out: Path) -> dict[str, bytes]:
    return {path.parent.name: nib.load(path).get_fdata().tobytes() for path in sorted(out.glob("*/*_mask.nii.gz"))}


def _judged(out: Path, cases: Sequence[CaseRef], right: dict[str, bytes]) -> tuple[Verdict, str]:
    """Every result that stands under a case's name."""
    whole = 0
    for case in cases:
        result = out / case.name
        if not result.exists():
            continue
        try:
            json.loads((result / "report.json").read_text())
        except (OSError, ValueError) as error:
            return "HALF", f"{case.name}: {error}"
        whole += seal_holds(result, case.files)
    masks = _masks(out)
    others = [name for name, mask in masks.items() if right[name] != mask]
    return ("OTHER", ", ".join(others)) if others else ("whole", f"{whole} of {len(cases)}")


def _ended(out: Path, cases: Sequence[CaseRef]) -> tuple[Verdict, str]:
    """What lies beside the results when a run has ended."""
    left = sorted(path.name for path in out.iterdir() if path.name not in {case.name for case in cases})
    return ("LEFT", ", ".join(left)) if left else ("done", "")
