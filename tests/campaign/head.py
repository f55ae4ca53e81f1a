"""``python -m campaign.head FOLDER``, from ``tests``: plain slices of a real head, a bolus laid over them, end to end.

A box of tissue in the patient gets its bolus late. The study goes through ``ctpdeploy inspect`` and ``infer`` with a
network that draws Tmax over 6 s, and the box has to come back in the segmentations, on the images and at the place in
the patient where it was put, whatever tilt and distances the slices have. Exit code 1 where it does not.

Gates are wide where perfusion is: maps are smoothed, and noise is real.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from support.bundles import write_rule_bundle
from support.dicom_results import placed_frames
from support.laid_bolus import Slice, box_in, inside, read_slices, write_study

from ctpdeploy.cli import run

TMAX_S = 6.0
DICE, AWAY_MM = 0.7, 3.0
"""Least overlap with the box, and greatest distance of the centres, in each slab."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The box in the result of a slab.

    Attributes:
        slices: of the slab.
        dice: of the segmentation and the box.
        away_mm: from the centre of one to that of the other.
        volume_ml: of the segmentation.
        findings: codes.
    """

    slices: int
    dice: float
    away_mm: float
    volume_ml: float
    findings: list[str]

    @property
    def right(self) -> bool:
        """Whether the box came back at its place."""
        return self.dice >= DICE and self.away_mm <= AWAY_MM


def infer(slices: Sequence[Slice], work: Path, *, size: int = 256) -> list[Found]:
    """Lay the bolus over slices, run the commands in a folder of work, and find the box again.

    Raises:
        RuntimeError: a command failed, or a segmentation does not lie where its images do or has another volume.
    """
    box = box_in(slices)
    write_study(work / "study", slices, box)
    bundle = write_rule_bundle(work / "rule.ctpbundle", TMAX_S, size=size)
    for command in (["inspect", work / "study"], ["infer", bundle, work / "study", "--out", work / "out", "--dicom"]):
        if run([str(word) for word in command]):
            raise RuntimeError(f"ctpdeploy {command[0]} failed.")
    found = [_found(folder, work / "study", slices, box) for folder in sorted((work / "out").iterdir())]
    if sum(slab.slices for slab in found) != len(slices):
        raise RuntimeError(f"{len(slices)} slices went in, and results have {[slab.slices for slab in found]}.")
    return found


def _found(folder: Path, study: Path, slices: Sequence[Slice], box: NDArray[np.float64]) -> Found:
    """The box in a result, its frames laid over the slices of the images that they refer to."""
    data = pydicom.dcmread(folder / "dicom" / "segmentation.dcm")
    by_place = {tuple(one.header.ImagePositionPatient): one for one in slices}
    sent = {header.SOPInstanceUID: tuple(header.ImagePositionPatient) for header in map(_header, study.iterdir())}
    planted, segmented, heights, common = [], [], [], 0
    for (pixels, affine), own in zip(placed_frames(data), data.PerFrameFunctionalGroupsSequence, strict=True):
        (image,) = own.DerivationImageSequence[0].SourceImageSequence
        one = by_place[sent[image.ReferencedSOPInstanceUID]]
        corners = [affine @ (row, column, 0, 1) for row in (0, data.Rows - 1) for column in (0, data.Columns - 1)]
        if not np.allclose(np.array(corners)[:, :3], one.places[:: data.Rows - 1, :: data.Columns - 1].reshape(4, 3)):
            raise RuntimeError(f"A frame of {folder.name} does not lie where its image does.")
        mask, truth = pixels > 0, inside(one, box)
        heights.append(float(np.cross(*one.directions) @ one.places[0, 0]))
        planted.append(one.places[truth])
        segmented.append(one.places[mask])
        common += np.count_nonzero(mask & truth)
    sets = [np.concatenate(points) for points in (planted, segmented)]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    voxel_mm3 = float(np.median(np.diff(sorted(heights)))) * np.prod(one.spacing)
    if not np.isclose(report["lesion"]["volume_ml"], len(sets[1]) * voxel_mm3 / 1000, rtol=1e-3):
        raise RuntimeError(f"The volume of {folder.name} is not that of its segmentation.")
    return Found(
        slices=len(planted),
        dice=2 * common / sum(map(len, sets)),
        away_mm=float(np.linalg.norm(sets[0].mean(axis=0) - sets[1].mean(axis=0))),
        volume_ml=report["lesion"]["volume_ml"],
        findings=[one["code"] for one in report["findings"]],
    )


def _header(path: Path) -> pydicom.Dataset:
    return pydicom.dcmread(path, stop_before_pixels=True)


def main() -> None:
    """Run and print; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with one plain CT of a head, a DICOM file a slice")
    parser.add_argument("--work", type=Path, help="folder for the study and the results, kept; 1 GB and more")
    options = parser.parse_args()
    slices = read_slices(path for path in options.folder.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as scratch:
        found = infer(slices, options.work or Path(scratch))
    print(json.dumps([asdict(slab) for slab in found]))
    sys.exit(0 if all(slab.right for slab in found) else 1)


if __name__ == "__main__":
    main()
