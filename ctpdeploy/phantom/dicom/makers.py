"""Makers: what the scanners of a maker write into a header, as far as readers look at it or are misled by it."""

from dataclasses import dataclass
from typing import Final

from ctpdeploy.phantom.dicom.pixels import Pixels

__all__ = ["CANON", "GE", "PHILIPS", "PLAIN", "SIEMENS", "UNITED", "Maker"]


@dataclass(frozen=True, kw_only=True)
class Maker:
    """The habits of a maker.

    Attributes:
        manufacturer: as it stands in a header.
        image_type: of the images of a perfusion series.
        description: of that series.
        files: path of a file in a study, filled in with the numbers of ``series`` and ``image`` (Instance Number) and
            the ``uid`` of the instance.
        pixels: how HU are stored.
        acquisitions: whether Acquisition Number counts the phases; 1 for all otherwise.
        kernel: Convolution Kernel.
    """

    manufacturer: str
    image_type: tuple[str, ...]
    description: str
    files: str
    pixels: Pixels
    acquisitions: bool
    kernel: str


PLAIN: Final = Maker(
    manufacturer="ctpdeploy",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    description="CT PERFUSION",
    files="{uid}",
    pixels=Pixels(),
    acquisitions=False,
    kernel="SOFT",
)
GE: Final = Maker(
    manufacturer="GE MEDICAL SYSTEMS",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    description="CTP HEAD CINE",
    files="e100/s{series}/i{image:06d}.CTDC.{image}",
    pixels=Pixels(intercept=-1024.0, padding=-2000),
    acquisitions=False,
    kernel="STANDARD",
)
SIEMENS: Final = Maker(
    manufacturer="SIEMENS",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI DUAL"),
    description="VPCT 4D  5.0  H20f",
    files="PHANTOM.CT.HEAD_VPCT.{series:04d}.{image:04d}.2024.03.10.10.15.00.{image:06d}.IMA",
    pixels=Pixels(signed=False, bits=12, intercept=-1024.0),
    acquisitions=True,
    kernel="H20f",
)
CANON: Final = Maker(
    manufacturer="CANON_MEC",
    image_type=("ORIGINAL", "PRIMARY", "DYNAMIC", "NONE"),
    description="Brain Perfusion 5.0 CE",
    files="DICOM/S{series:04d}/V{image:04d}.dcm",
    pixels=Pixels(padding=-2048),
    acquisitions=True,
    kernel="FC41",
)
PHILIPS: Final = Maker(
    manufacturer="Philips",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL", "JOG"),
    description="Perfusion, Brain Perfusion",
    files="DICOM/IM_{series:04d}/IM_{image:04d}",
    pixels=Pixels(signed=False, bits=12, intercept=-1024.0),
    acquisitions=False,
    kernel="UB",
)
UNITED: Final = Maker(
    manufacturer="UIH",
    image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
    description="Brain Perfusion phase {phase}",
    files="series_{series:05d}/{image:08d}.dcm",
    pixels=Pixels(bits=16, slope=0.5, intercept=-512.0),
    acquisitions=True,
    kernel="B_SOFT_B",
)
