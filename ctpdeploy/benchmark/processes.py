"""``ctpdeploy infer`` as a user starts it: a new process for one case, watched from outside."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ctpdeploy.errors import BackendError, ExitCode, GuardError
from ctpdeploy.runtime import CaseRef
from ctpdeploy.runtime.bundle.trust import ANYONE, Signer
from ctpdeploy.runtime.report.writers import REPORT

__all__ = ["ProcessRun", "gpu_bytes", "run_infer"]

_LOOK_S: Final = 0.01
_GPU_LOOK_S: Final = 0.5
_SMI: Final = "nvidia-smi"


@dataclass(frozen=True, kw_only=True)
class ProcessRun:
    """Times and memory of a process.

    Attributes:
        first_mask_s: from its start until the results of the case are in place, picture and report among them.
        startup_s: of these until it began to read: Python, packages, the bundle and its hashes, the backend.
        peak_bytes: the most memory that it held; None where the system is not Linux.
        gpu_peak_bytes: the most memory used on the first GPU, over what was used before; None without nvidia-smi.
    """

    first_mask_s: float
    startup_s: float
    peak_bytes: int | None
    gpu_peak_bytes: int | None


def run_infer(bundle: Path, case: CaseRef, backend: str, signer: Signer = None) -> ProcessRun:
    """Run ``ctpdeploy infer`` on a case; who has to have signed the bundle is as for ``Bundle.open``.

    Raises:
        GuardError, BackendError: it failed; with its message.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "results"), Path(folder, "log")
        report = out / case.name / REPORT
        command = [sys.executable, "-m", "ctpdeploy", "infer", str(bundle), str(case.folder), "--out", str(out)]
        command += ["--backend", backend, *_signature_options(signer)]
        gpu_before = gpu_bytes()
        with log.open("wb") as errors:
            start = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
            watch = _Watch(process, report, looks_at_gpu=gpu_before is not None)
            code = watch.until_it_ends()
        if code != ExitCode.DONE or watch.done is None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"]
            kind = GuardError if code == ExitCode.GUARD else BackendError
            raise kind(f"ctpdeploy infer with {backend} ended with exit code {code}: {lines[-1]}")
        stages = json.loads(report.read_text(encoding="utf-8"))["seconds"]
    first_mask = watch.done - start
    return ProcessRun(
        first_mask_s=first_mask,
        startup_s=first_mask - sum(stages.values()),
        peak_bytes=watch.peak,
        gpu_peak_bytes=None if gpu_before is None or watch.gpu_peak is None else max(0, watch.gpu_peak - gpu_before),
    )


def _signature_options(signer: Signer) -> list[str]:
    if signer is ANYONE:
        return ["--no-require-signature"]
    return [] if signer is None else ["--require-signature", str(signer)]


def gpu_bytes() -> int | None:
    """Memory in use on the first GPU, by whomever; None without nvidia-smi or where it reports none."""
    if shutil.which(_SMI) is None:
        return None
    query = [_SMI, "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    printed = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    return int(printed[0]) << 20 if printed and printed[0].isdecimal() else None


class _Watch:
    """Looks at a process and for its report again and again.

    Attributes:
        done: when the report was there.
        peak: the most memory seen.
        gpu_peak: likewise on the first GPU.
    """

    def __init__(self, process: subprocess.Popen[bytes], report: Path, *, looks_at_gpu: bool) -> None:
        self._process, self._report = process, report
        self._next_gpu_look = time.perf_counter() if looks_at_gpu else float("inf")
        self.done: float | None = None
        self.peak: int | None = None
        self.gpu_peak: int | None = None

    def until_it_ends(self) -> int:
        """Returns its exit code."""
        while (code := self._process.poll()) is None:
            self._look()
            time.sleep(_LOOK_S)
        self._look_for_report()
        return code

    def _look(self) -> None:
        self._look_for_report()
        self.peak = _peak_bytes(self._process.pid) or self.peak
        if time.perf_counter() >= self._next_gpu_look:
            self._next_gpu_look += _GPU_LOOK_S
            self.gpu_peak = max(self.gpu_peak or 0, gpu_bytes() or 0)

    def _look_for_report(self) -> None:
        if self.done is None and self._report.is_file():
            self.done = time.perf_counter()


def _peak_bytes(pid: int) -> int | None:
    """The most memory that a process has held so far.

    Not from ``wait4``: its figure begins with the memory of the process that started it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) << 10 if peaks else None
