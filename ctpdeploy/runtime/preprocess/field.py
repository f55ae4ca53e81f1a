"""Whether the networks saw the whole brain: in a field around the head, what lies outside of it has no lesion."""

from typing import Final

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, network_grid

__all__ = ["inspect_field"]

_MOST_BEYOND_MM: Final = 4.0
"""Of the brain's outline, which is known to 2 mm and of which the outermost are sulci."""


def inspect_field(case: Case, config: PreprocessConfig) -> tuple[Finding, ...]:
    """Findings on the networks' grid among the voxels of a case."""
    grid = network_grid(case, config)
    if grid.beyond_mm <= _MOST_BEYOND_MM:
        return ()
    height, width = (pixels * config.pixel_mm for pixels in config.slice_shape)
    sentence = (
        f"The brain reaches {grid.beyond_mm:.0f} mm beyond the {height:.0f} x {width:.0f} mm that the networks see of "
        "each slice: a lesion there is missed; take networks that see the whole slice."
    )
    return (finding("brain-beyond-field", sentence),)
