"""Junk: the images that a study of a stroke holds beside its CT perfusion, made of frames of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import CTImageStorage

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.headers import Identity, describe_ct, describe_pixels, new_object
from ctpdeploy.phantom.dicom.images import Image, write_images
from ctpdeploy.phantom.dicom.pixels import Pixels
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.phantom.dicom.timing import moment

__all__ = ["JUNK", "Junk", "write_junk"]

TRACKED = 20
"""Images of a bolus tracking at most."""

FINER = 4
"""Slices of an angiography for each of the perfusion's."""


Made = tuple[NDArray[np.int16], Space, NDArray[np.int64]]
"""HU of images ``(N, J, I)``, the space of their slices, and the slice of each ``(N,)``."""


@dataclass(frozen=True, kw_only=True)
class Junk:
    """A series.

    Attributes:
        kind: as :attr:`ctpdeploy.phantom.dicom.truth.StudyTruth.others`.
        description: of it.
        image_type: of it.
        begin: seconds from the begin of the first perfusion scan.
        step: seconds from image to image.
        images: function from the perfusion series ``(T, K, J, I)`` and its space.
    """

    kind: str
    description: str
    image_type: tuple[str, ...]
    begin: float
    step: float
    images: Callable[[NDArray[np.int16], Space], Made]


def _localiser(series: NDArray[np.int16], space: Space) -> Made:
    """A view from the side: means along rows."""
    seen = series[0].mean(axis=2)[None, ::-1]
    return _whole(seen), space.reformatted(1, 0, series.shape[1]), np.arange(1)


def _plain(series: NDArray[np.int16], space: Space) -> Made:
    return series[0], space, np.arange(series.shape[1])


def _tracking(series: NDArray[np.int16], space: Space) -> Made:
    """The lowest slice again and again."""
    taken = series[:TRACKED, 0]
    return taken, space, np.zeros(len(taken), dtype=np.int64)


def _angiography(series: NDArray[np.int16], space: Space) -> Made:
    brightest = series[int(series.mean(axis=(1, 2, 3)).argmax())]
    return np.repeat(brightest, FINER, axis=0), space.finer(FINER), np.arange(FINER * series.shape[1])


def _coronal(series: NDArray[np.int16], space: Space) -> Made:
    cut = series[0].transpose(1, 0, 2)[:, ::-1]
    return cut, space.reformatted(0, 1, series.shape[1]), np.arange(series.shape[2])


def _average(series: NDArray[np.int16], space: Space) -> Made:
    return _whole(series.mean(axis=0)), space, np.arange(series.shape[1])


def _whole(values: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.rint(values).astype(np.int16)


ORIGINAL: Final = ("ORIGINAL", "PRIMARY", "AXIAL")
JUNK: Final = (
    Junk(
        kind="localiser",
        description="TOPOGRAM",
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        begin=-600.0,
        step=0.0,
        images=_localiser,
    ),
    Junk(kind="plain", description="HEAD 5.0", image_type=ORIGINAL, begin=-500.0, step=0.5, images=_plain),
    Junk(kind="tracking", description="BOLUS TRACKING", image_type=ORIGINAL, begin=-60.0, step=1.0, images=_tracking),
    Junk(kind="angiography", description="CTA 1.0", image_type=ORIGINAL, begin=-40.0, step=0.05, images=_angiography),
    Junk(
        kind="reformatted",
        description="CORONAL",
        image_type=("DERIVED", "SECONDARY", "REFORMATTED"),
        begin=-500.0,
        step=0.0,
        images=_coronal,
    ),
    Junk(
        kind="reformatted",
        description="CTP AVERAGE",
        image_type=("DERIVED", "SECONDARY", "AXIAL", "AVERAGE"),
        begin=0.0,
        step=0.0,
        images=_average,
    ),
)
"""The series, in the order of their numbers."""


def write_junk(disc: Disc, identity: Identity, series: NDArray[np.int16], space: Space) -> dict[str, str]:
    """Write all of it around a series ``(T, K, J, I)``; the kinds by the UIDs of the series."""
    written = {}
    for number, junk in enumerate(JUNK, start=1):
        hu, where, slices = junk.images(series, space)
        word, pixels = junk.description, Pixels()
        header = new_object(identity, CTImageStorage, word, modality="CT", number=number, description=junk.description)
        describe_ct(header, identity, where, junk.image_type)
        describe_pixels(header, pixels, *hu.shape[1:])
        if junk.kind == "localiser":
            header.RescaleType = "US"  # sums along rays are none of HU
        images = []
        for index, k in enumerate(slices.tolist()):
            taken = moment(identity.start, junk.begin + index * junk.step)
            elements = {
                "InstanceNumber": index + 1,
                "AcquisitionNumber": 1,
                "AcquisitionDate": taken.date,
                "AcquisitionTime": taken.time,
                "ContentDate": taken.date,
                "ContentTime": taken.time,
            }
            images.append(Image(word=f"{word}/{index}", k=k, stored=pixels.store(hu[index]), elements=elements))
        write_images(disc, identity, header, where, pixels, images)
        written[identity.uid(word)] = junk.kind
    return written
