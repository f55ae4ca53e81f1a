"""Surroundings: all that a study holds beside its CT perfusion scans."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.phantom.dicom.disc import Disc
from ctpdeploy.phantom.dicom.documents import write_colours, write_dose_report, write_files, write_presentation
from ctpdeploy.phantom.dicom.headers import Identity
from ctpdeploy.phantom.dicom.junk import write_junk
from ctpdeploy.phantom.dicom.space import Space
from ctpdeploy.runtime.data.case import FloatArray

__all__ = ["write_surroundings"]


def write_surroundings(
    disc: Disc, identity: Identity, series: NDArray[np.int16], space: Space, maps: Mapping[str, FloatArray]
) -> dict[str, str]:
    """Write what is neither perfusion nor map; the kinds by the UIDs of their series.

    Args:
        disc: of the study.
        identity: of the study.
        series: of perfusion, ``(T, K, J, I)``.
        space: of its slices.
        maps: the first of which is also there in colours.
    """
    written = write_junk(disc, identity, series, space)
    for label, values in [*maps.items(), ("brain", series[0].astype(np.float32))][:1]:
        written |= write_colours(disc, identity, values, f"{label.upper()} COLOUR")
    written |= write_dose_report(disc, identity)
    plain = next(series_uid for series_uid, kind in written.items() if kind == "plain")
    written |= write_presentation(disc, identity, plain, identity.uid("HEAD 5.0/0"), series.shape[2:])
    write_files(disc.folder)
    return written
