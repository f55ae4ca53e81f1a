"""How fast a DICOM study is read: beside pydicom's own loop and dcm2niix on the same files, in turns.

From a folder of files in any order to HU in one array, phases by time and slices by place: ctpdeploy; pydicom's
``dcmread``, ``pixel_array`` and ``apply_rescale``, then sorted; dcm2niix, which writes a file of them. Each turn is a
process of its own, its packages imported before the clock starts, its files in the page cache. Quoted are processor
seconds, which other work disturbs less than the clock, and the medians over rounds of their ratios within a round; all
give the same HU, or nothing is timed. The ceiling is the same files read into one buffer, nothing understood.

Writing a result's DICOM objects takes its turn too, of a synthetic patient of 16 slices.

    python claims/dicom_speed.py --out claims/results/dicom-MACHINE.json
    python claims/dicom_speed.py --rounds 3 --studies 4x4x64      # a rehearsal
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any, Final

import numpy as np
from rounded import rounded

from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.machine import OtherLoad, describe_machine
from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.errors import GuardError
from ctpdeploy.phantom import PhantomConfig
from ctpdeploy.phantom.dicom.study import write_study
from ctpdeploy.phantom.dicom.study_case import write_study_case
from ctpdeploy.runtime.backends.packages import versions_of

__all__ = ["VARIANTS", "measure", "write_series"]

SCHEMA: Final = 1
"""Of what is written."""
STUDIES: Final = ("100x40x256", "89x8x512")
"""Phases, slices, and rows and columns: 4 000 and 712 images."""
OURS, PYDICOM, DCM2NIIX, BYTES, RESULTS = "ctpdeploy", "pydicom", "dcm2niix", "the bytes alone", "results"
SEED: Final = 7

Check = Callable[[], int]
"""The sum of all HU that were read, taken when the clock has stopped; 0 where they are not understood."""
Timed = Callable[[], Check]
Read = dict[str, float]
"""Seconds by the clock (``wall_s``) and of the processor (``core_s``), greatest memory (``peak_bytes``), and the sum of
all HU (``sum_hu``)."""


def write_series(folder: Path, phases: int, slices: int, size: int) -> None:
    """A study of one series, a file an image, called by their UIDs and numbered at random; noise of 12 bits."""
    hu = np.random.default_rng(SEED).integers(-1024, 3071, (phases, slices, size, size), dtype=np.int16)
    affine = np.diag([-220 / size, -220 / size, 4.0, 1.0])
    write_study(folder, hu, np.arange(phases) * 0.5, affine, "one-series", junk=False)


def _ours(folder: Path) -> Timed:
    from ctpdeploy.runtime.dicom import find_stacks, find_studies, read_voxels

    def run() -> Check:
        (study,) = find_studies(folder.iterdir())
        (series,) = study.perfusion
        (stack,) = find_stacks(series.planes, series.called)
        return partial(_sum, read_voxels(stack))

    return run


def _pydicom(folder: Path) -> Timed:
    from pydicom import dcmread
    from pydicom.pixels import apply_rescale

    def run() -> Check:
        images = []
        for path in folder.iterdir():
            data = dcmread(path)
            key = (data.AcquisitionDateTime, float(data.ImagePositionPatient[2]))
            images.append((key, apply_rescale(data.pixel_array, data).astype(np.int16)))
        images.sort(key=lambda image: image[0])
        return partial(_sum, np.stack([hu for _, hu in images]))

    return run


def _dcm2niix(folder: Path) -> Timed:
    import nibabel as nib

    tool, scratch = str(_tool()), tempfile.TemporaryDirectory()

    def total() -> int:
        image = nib.load(Path(scratch.name, "x.nii"))
        stored = image.dataobj.get_unscaled()
        return round(image.dataobj.slope * _sum(stored) + image.dataobj.inter * stored.size)

    def run() -> Check:
        command = [tool, "-z", "n", "-b", "n", "-f", "x", "-o", scratch.name, folder]
        subprocess.run(command, check=True, capture_output=True)
        return total

    return run


def _bytes(folder: Path) -> Timed:
    buffer = bytearray(sum(path.stat().st_size for path in folder.iterdir()))

    def run() -> Check:
        view = memoryview(buffer)
        for path in folder.iterdir():
            with path.open("rb") as stream:
                view = view[stream.readinto(view) :]
        return int

    return run


def _results(folder: Path) -> Timed:
    """All DICOM objects of a case, as ``infer`` writes them, with a lesion that is a box."""
    from PIL import Image

    from ctpdeploy.runtime import Prediction, find_cases
    from ctpdeploy.runtime.data.prediction import CaseOutputs, EngineInfo
    from ctpdeploy.runtime.data.slices import PerfusionWindow
    from ctpdeploy.runtime.report.dicom.writer import write_dicom

    (case,) = (found.read() for found in find_cases(folder))
    probability = np.zeros(case.series.shape[1:], dtype=np.float32)
    probability[2:-2, 100:140, 60:100] = 0.9
    outputs = CaseOutputs(
        mask=probability > 0.5,
        probability=probability,
        pseudo_dwi=probability,
        window=PerfusionWindow(start=0, end=1, frames=(0, 1), curve=np.zeros(2)),
        engine=EngineInfo(backend="none", device="none", precision="fp32"),
        seconds={},
    )
    out = folder.parent / "results"
    out.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((1200, 1225, 3), dtype=np.uint8)).save(out / "overview.png")
    prediction = Prediction(outputs=outputs, components=(), volume_ml=0.0)

    def write() -> Check:
        write_dicom(out / "dicom", case, prediction, out / "overview.png")
        return int

    return write


VARIANTS: Final[Mapping[str, Callable[[Path], Timed]]] = {
    OURS: _ours,
    PYDICOM: _pydicom,
    DCM2NIIX: _dcm2niix,
    BYTES: _bytes,
    RESULTS: _results,
}
"""Functions that import what they need and return what is timed."""


def _sum(voxels: np.ndarray) -> int:
    return int(voxels.sum(dtype=np.int64))


def _tool() -> Path | None:
    beside = Path(sys.executable).with_name("dcm2niix")
    found = which("dcm2niix")
    return beside if beside.exists() else Path(found) if found else None


def turn(variant: str, folder: Path) -> Read:
    """One turn, in a process of its own."""
    command = [sys.executable, __file__, "--turn", variant, str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise GuardError(f"{variant} failed on {folder}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def _take_turn(variant: str, folder: Path) -> Read:
    """The turn itself; the memory is that of the process or of the one that it starts, whichever is more."""
    run = VARIANTS[variant](folder)
    start, used = time.perf_counter(), _core_seconds()
    check = run()
    read = {"wall_s": time.perf_counter() - start, "core_s": _core_seconds() - used}
    return {**read, "peak_bytes": _peak_bytes(), "sum_hu": check()}


def _peak_bytes() -> float:
    """Of this process, whose ``ru_maxrss`` is that of the one that started it if that was more, or of its children."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 1024.0 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _core_seconds() -> float:
    return sum(usage.ru_utime + usage.ru_stime for usage in _usages())


def _usages() -> tuple[resource.struct_rusage, resource.struct_rusage]:
    """Of this process and of those that it started."""
    return resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)


def measure(folder: Path, size: int, *, rounds: int) -> dict[str, Any]:
    """Turns over the files of a study of so many bytes of HU.

    Raises:
        GuardError: variants read other HU.
    """
    names = [name for name in (OURS, PYDICOM, DCM2NIIX, BYTES) if name != DCM2NIIX or _tool()]
    first = {name: turn(name, folder)["sum_hu"] for name in names if name != BYTES}  # and the page cache is warm
    if len(set(first.values())) > 1:
        raise GuardError(f"The variants read other HU, by their sums {first}: nothing is timed.")
    load = OtherLoad()
    taken = interleave({name: partial(turn, name, folder) for name in names}, rounds=rounds, seed=0)
    found: dict[str, Any] = {name: _figures(taken[name], size) for name in names}
    for name in names:
        if name != OURS:
            for unit in ("core_s", "wall_s"):
                ratio = Quantiles.of_ratio([one[unit] for one in taken[name]], [one[unit] for one in taken[OURS]])
                found[name][f"times_{OURS}_{unit}"] = asdict(ratio)
    missing = {} if DCM2NIIX in names else {DCM2NIIX: "is not installed: pip install dcm2niix"}
    return {"bytes": size, "not_timed": missing, "other_cores": load.cores(), "readers": found}


def _figures(turns: list[Read], size: int) -> dict[str, Any]:
    figures = {unit: asdict(Quantiles.of([one[unit] for one in turns])) for unit in ("core_s", "wall_s")}
    return {**figures, "peak_of_series": max(one["peak_bytes"] for one in turns) / size}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", nargs="+", default=STUDIES, help="phases x slices x rows")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--turn", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(_take_turn(options.turn[0], Path(options.turn[1]))))
        return
    studies = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.studies:
            phases, slices, size = map(int, name.split("x"))
            folder = Path(scratch) / name
            write_series(folder, phases, slices, size)
            studies[name] = measure(folder, phases * slices * size**2 * 2, rounds=options.rounds)
        case = write_study_case(Path(scratch), SEED, PhantomConfig(size=256, slices=16, frames=24), "one-series", 1)
        written = [turn(RESULTS, case / "study") for _ in range(options.rounds)]
    machine = describe_machine()
    versions = machine["versions"] | versions_of("pydicom", "highdicom", "dcm2niix")
    result = {
        "schema": SCHEMA,
        "machine": machine | {"versions": versions},
        "rounds": options.rounds,
        "studies": studies,
        "results_of_16_slices": {
            unit: asdict(Quantiles.of([one[unit] for one in written])) for unit in ("core_s", "wall_s")
        },
    }
    text = json.dumps(rounded(result), indent=2)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
