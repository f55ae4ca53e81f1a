"""Parametric maps: probability, pseudo-DWI and perfusion maps in their own units (PS3.3 A.75)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from highdicom import VOILUTTransformation
from highdicom.pm import ParametricMap, RealWorldValueMapping

from ctpdeploy import INTENDED_USE
from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.report.dicom import codes
from ctpdeploy.runtime.report.dicom.context import Context, concept

__all__ = ["MAPS", "parametric_map"]

_FIRST_SERIES: Final = 10


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """A kind of map: its description, what it measures in which unit, and the values to show from black to white."""

    description: str
    quantity: codes.Code
    unit: codes.Code
    window: tuple[float, float]


MAPS: Final = {
    "probability": _Kind(
        description="Infarct probability", quantity=codes.PROBABILITY, unit=codes.NO_UNIT, window=(0.0, 1.0)
    ),
    "pseudo_dwi": _Kind(
        description="Pseudo-DWI, synthetic",
        quantity=codes.DIFFUSION_WEIGHTED,
        unit=codes.ARBITRARY_UNIT,
        window=(0.0, 1.0),
    ),
    "cbf": _Kind(description="CBF ml/100g/min", quantity=codes.FLOW, unit=codes.FLOW_UNIT, window=(0.0, 100.0)),
    "cbv": _Kind(
        description="CBV ml/100g", quantity=codes.BLOOD_VOLUME, unit=codes.BLOOD_VOLUME_UNIT, window=(0.0, 6.0)
    ),
    "mtt": _Kind(description="MTT s", quantity=codes.TRANSIT_TIME, unit=codes.SECOND, window=(0.0, 12.0)),
    "tmax": _Kind(description="Tmax s", quantity=codes.TMAX, unit=codes.SECOND, window=(0.0, 12.0)),
}
"""By name; a series each."""


def parametric_map(context: Context, name: str, volume: FloatArray) -> ParametricMap:
    """A map as an object.

    Args:
        context: of the case.
        name: of the map in ``MAPS``.
        volume: float32 ``(D, H, W)``; what is not finite becomes 0.
    """
    kind = MAPS[name]
    frames = context.frames(np.nan_to_num(volume, posinf=0.0, neginf=0.0).astype(np.float32))
    low, high = kind.window
    data = ParametricMap(
        source_images=context.sources.stand_ins,
        pixel_array=frames,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label=name.upper(),
                lut_explanation=kind.description,
                unit=concept(kind.unit),
                value_range=(float(frames.min()), float(frames.max())),
                slope=1.0,
                intercept=0.0,
                quantity_definition=concept(kind.quantity),
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=(low + high) / 2, window_width=high - low)],
        pixel_measures=context.pixel_measures(),
        content_label=name.upper(),
        content_description=INTENDED_USE,
        **context.described(name, _FIRST_SERIES + list(MAPS).index(name), kind.description),
    )
    context.finish(data)
    return data
