"""Scales of colour: gray, and two tables of 256 steps that are shipped."""

from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Scale", "colour_table"]

Scale = Literal["gray", "turbo", "inferno"]
"""Black to white; for maps, blue over green to red; for probabilities, black over red to yellow, evenly bright."""

_STEPS: Final = 256


@lru_cache
def colour_table(scale: Scale) -> NDArray[np.uint8]:
    """Red, green and blue of each step of a scale, ``(256, 3)``, read-only."""
    if scale == "gray":
        table = np.repeat(np.arange(_STEPS, dtype=np.uint8)[:, None], 3, axis=1)
        table.flags.writeable = False
        return table
    content = files("ctpdeploy.runtime.report").joinpath("assets", f"{scale}.rgb").read_bytes()
    return np.frombuffer(content, dtype=np.uint8).reshape(_STEPS, 3)
