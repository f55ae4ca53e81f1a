"""Ways to read a study in DICOM, one turn each, in a process that imports nothing else.

python claims/dicom_readers.py ctpdeploy FOLDER
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from shutil import which
from typing import Final

import numpy as np

__all__ = ["BYTES", "DCM2NIIX", "OURS", "PYDICOM", "RESULTS", "Turn", "dcm2niix"]

OURS, PYDICOM, DCM2NIIX, BYTES, RESULTS = "ctpdeploy", "pydicom", "dcm2niix", "the bytes alone", "results"

Check = Callable[[], int]
"""The sum of all HU that were read, taken when the clock has stopped; 0 where they are not understood."""
Timed = Callable[[], Check]
Turn = dict[str, float]
"""Seconds by the clock (``wall_s``) and of the processor (``core_s``), greatest memory (``peak_bytes``), and the sum of
all HU (``sum_hu``)."""


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
    scratch = tempfile.TemporaryDirectory()
    command = [str(dcm2niix()), "-z", "n", "-b", "n", "-f", "x", "-o", scratch.name, str(folder)]

    def total() -> int:
        import nibabel as nib

        image = nib.load(Path(scratch.name, "x.nii"))
        stored = image.dataobj.get_unscaled()
        return round(image.dataobj.slope * _sum(stored) + image.dataobj.inter * stored.size)

    def run() -> Check:
        subprocess.run(command, check=True, capture_output=True)
        return total

    return run


def dcm2niix() -> Path | None:
    """The program, beside Python or wherever it is; None where it is not."""
    beside = Path(sys.executable).with_name(DCM2NIIX)
    found = which(DCM2NIIX)
    return beside if beside.exists() else Path(found) if found else None


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
        window=PerfusionWindow(start=0, end=1, spans=((0, 1), (1, 2)), curve=np.zeros(2)),
        engine=EngineInfo(backend="none", device="none", precision="fp32"),
        seconds={},
    )
    out = folder.parent / "results"
    out.mkdir(exist_ok=True)
    Image.fromarray(np.zeros((1200, 1225, 3), dtype=np.uint8)).save(out / "overview.png")
    write = partial(
        write_dicom,
        out / "dicom",
        case,
        Prediction(outputs=outputs, components=(), volume_ml=0.0, threshold=0.5),
        out / "overview.png",
    )
    write()  # the first time, highdicom is imported

    def run() -> Check:
        write()
        return int

    return run


_READERS: Final[Mapping[str, Callable[[Path], Timed]]] = {
    OURS: _ours,
    PYDICOM: _pydicom,
    DCM2NIIX: _dcm2niix,
    BYTES: _bytes,
    RESULTS: _results,
}
"""Functions that import what they need and return what is timed."""


def _sum(voxels: np.ndarray) -> int:
    return int(voxels.sum(dtype=np.int64))


def _turn(name: str, folder: Path) -> Turn:
    run = _READERS[name](folder)
    start, used = time.perf_counter(), _core_seconds()
    check = run()
    turn = {"wall_s": time.perf_counter() - start, "core_s": _core_seconds() - used}
    return {**turn, "peak_bytes": _peak_bytes(), "sum_hu": check()}


def _core_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_bytes() -> float:
    """Of this process, whose ``ru_maxrss`` is that of the one that started it if that was more, or of its children."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return 1024.0 * max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


if __name__ == "__main__":
    print(json.dumps(_turn(sys.argv[1], Path(sys.argv[2]))))
