"""Classic CT: a scan as one file an image (CT Image Storage, PS3.3 A.3), in one series or one a phase."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.headers import Identity, describe_ct, describe_pixels, new_object
from ctpdeploy.phantom.dicom.images import Image, write_images
from ctpdeploy.phantom.dicom.scan import Scan
from ctpdeploy.phantom.dicom.syntaxes import SYNTAXES
from ctpdeploy.phantom.dicom.timing import clock_elements, moment, temporal_resolution

__all__ = ["write_classic"]


def write_classic(disc: Disc, identity: Identity, scan: Scan, rng: np.random.Generator) -> None:
    """Write a scan as CT images.

    Raises:
        InputError: times are such that the layout cannot state them.
    """
    layout, maker = scan.layout, scan.layout.maker
    header = new_object(
        identity, CTImageStorage, scan.word, modality="CT", number=scan.number, description=maker.description
    )
    header.file_meta.TransferSyntaxUID = SYNTAXES[layout.syntax]
    describe_ct(header, identity, scan.space, maker.image_type)
    describe_pixels(header, layout.stored, *scan.hu.shape[2:])
    resolution = temporal_resolution(layout, scan.seconds.mean(axis=1))
    if layout.clock in ("TemporalPositionIdentifier", "TriggerTime"):
        header.TemporalResolution, header.NumberOfTemporalPositions = resolution, len(scan.hu)
    images = _images(scan, identity, _instance_numbers(scan, rng))
    paths = write_images(disc, identity, header, scan.space, layout.stored, images)
    for path in rng.permutation(len(paths))[: layout.copies]:
        disc.copy(paths[path])


def _images(scan: Scan, identity: Identity, numbers: NDArray[np.int64]) -> Iterator[Image]:
    """The images in the order of their numbers."""
    layout = scan.layout
    for made, flat in enumerate(np.argsort(numbers, axis=None, kind="stable")):
        t, k = (int(index) for index in np.unravel_index(flat, numbers.shape))
        elements: dict[str, Any] = {
            "InstanceNumber": int(numbers[t, k]),
            "AcquisitionNumber": t + 1 if layout.maker.acquisitions else 1,
            **clock_elements(layout, scan.start, float(scan.seconds[t, k]), t, made),
        }
        if layout.series_a_phase:
            begin = moment(scan.start, float(scan.seconds[t, 0]))
            elements |= {
                "SeriesInstanceUID": identity.uid(scan.series_word(t)),
                "SeriesNumber": scan.number + t,
                "SeriesDescription": f"PHANTOM {layout.maker.description.format(phase=t + 1)}",
                "SeriesDate": begin.date,
                "SeriesTime": begin.time,
            }
        yield Image(
            word=f"{scan.word}/{t}/{k}",
            k=k,
            stored=layout.stored.store(scan.hu[t, k], scan.outside),
            elements=elements,
        )


def _instance_numbers(scan: Scan, rng: np.random.Generator) -> NDArray[np.int64]:
    """Number of each image ``(T, K)``, from 1 within its series."""
    phases, slices = scan.hu.shape[:2]
    if scan.layout.series_a_phase:
        return np.broadcast_to(np.arange(slices) + 1, (phases, slices))
    numbers = np.arange(phases * slices) + 1
    if scan.layout.order == "slice":
        return numbers.reshape(slices, phases).T
    return (rng.permutation(numbers) if scan.layout.order == "random" else numbers).reshape(phases, slices)
