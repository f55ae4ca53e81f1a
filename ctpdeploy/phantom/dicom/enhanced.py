"""Enhanced CT: a volume or a whole scan in one file, each frame with headers of its own (PS3.3 A.38)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedCTImageStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.groups import IMAGE_TYPE, describe_frames, items, shared_groups
from ctpdeploy.phantom.dicom.headers import Identity, decimals, describe_pixels, new_object
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.scan import Scan
from ctpdeploy.phantom.dicom.syntaxes import SYNTAXES, pack
from ctpdeploy.phantom.dicom.timing import moment

__all__ = ["write_enhanced"]

FRAME_S = 0.5
"""Duration of a rotation."""


def write_enhanced(disc: Disc, identity: Identity, scan: Scan, rng: np.random.Generator) -> None:
    """Write a scan as multi-frame images."""
    phases, slices = scan.hu.shape[:2]
    all_frames = np.stack(np.divmod(np.arange(phases * slices), slices), axis=1)
    if scan.layout.files == "scan":
        files = [_in_order(all_frames, scan, rng)]
    else:
        volumes = all_frames.reshape(phases, slices, 2)
        files = [_in_order(volume, scan, rng) for volume in _in_order(volumes, scan, rng)]
    for number, frames in enumerate(files, start=1):
        disc.put(*_object(identity, scan, frames, number))


def _in_order(things: np.ndarray[Any, Any], scan: Scan, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    return rng.permutation(things) if scan.layout.order == "random" else things


def _object(identity: Identity, scan: Scan, frames: np.ndarray[Any, Any], number: int) -> tuple[Dataset, bytes]:
    """An image of some frames ``(N, 2)``, each a phase and a slice, and its pixels."""
    layout, maker = scan.layout, scan.layout.maker
    data = new_object(
        identity, EnhancedCTImageStorage, scan.word, modality="CT", number=scan.number, description=maker.description
    )
    data.file_meta.TransferSyntaxUID = SYNTAXES[layout.syntax]
    data.SOPInstanceUID, data.InstanceNumber = identity.uid(scan.word, "file", number), number
    first = float(scan.seconds[tuple(frames.T)].min())
    begin = moment(scan.start, first)
    data.AcquisitionDateTime, data.AcquisitionDuration = begin.date + begin.time, FRAME_S * 1e3
    data.AcquisitionNumber = number
    data.ContentDate, data.ContentTime = begin.date, begin.time
    describe_pixels(data, layout.stored, *scan.hu.shape[2:])
    del data.RescaleSlope, data.RescaleIntercept, data.RescaleType
    data.PixelPresentation = "MONOCHROME"
    data.VolumetricProperties, data.VolumeBasedCalculationTechnique = "VOLUME", "NONE"
    describe_frames(data, identity, IMAGE_TYPE)
    data.NumberOfFrames = len(frames)
    data.SharedFunctionalGroupsSequence = items(
        shared_groups(scan.space, maker.kernel, identity.uid(scan.word, "event"))
    )
    groups, stored = [], []
    for index, (t, k) in enumerate(frames.tolist()):
        pixels = layout.stored_frames[index % len(layout.stored_frames)]
        groups.append(_groups(scan, t, k, pixels))
        stored.append(pixels.store(scan.hu[t, k], scan.outside))
    data.PerFrameFunctionalGroupsSequence = items(*groups)
    return data, pack(stored, layout.stored, data.file_meta.TransferSyntaxUID)


def _groups(scan: Scan, t: int, k: int, pixels: Pixels) -> Mapping[str, Any]:
    """The functional groups that a frame has for itself."""
    begin, taken = (moment(scan.start, seconds) for seconds in (0.0, float(scan.seconds[t, k])))
    acquired = taken if scan.layout.clock == "FrameAcquisitionDateTime" else begin
    position = decimals(scan.space.position(k))
    index = scan.layout.first_index + t
    return {
        "FrameContentSequence": items(
            {
                "FrameAcquisitionDateTime": acquired.date + acquired.time,
                "FrameReferenceDateTime": taken.date + taken.time,
                "FrameAcquisitionDuration": FRAME_S * 1e3,
                "FrameAcquisitionNumber": t + 1,
                "StackID": "1",
                "InStackPositionNumber": k + 1,
                "TemporalPositionIndex": index,
                "DimensionIndexValues": [index, k + 1],
            }
        ),
        "PlanePositionSequence": items({"ImagePositionPatient": position}),
        "CTPositionSequence": items(
            {
                "TablePosition": float(position[2]),
                "DataCollectionCenterPatient": [float(value) for value in position],
                "ReconstructionTargetCenterPatient": [float(value) for value in position],
            }
        ),
        "PixelValueTransformationSequence": items(
            {
                "RescaleSlope": decimals([pixels.slope])[0],
                "RescaleIntercept": decimals([pixels.intercept])[0],
                "RescaleType": "HU",
            }
        ),
    }
