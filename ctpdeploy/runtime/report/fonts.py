"""The fonts that are shipped: DejaVu Sans, Latin and Greek letters and the signs of the field, in two weights.

Pillow's own font lacks ², ≤ and Greek letters; what else is installed differs between machines.
"""

from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from ctpdeploy.errors import BackendError

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

__all__ = ["load_font"]


@lru_cache
def load_font(pixels: float, *, bold: bool = False) -> "FreeTypeFont":
    """A font.

    Args:
        pixels: size of its letters.
        bold: its weight.

    Raises:
        BackendError: if Pillow was built without FreeType.
    """
    from PIL import ImageFont  # loads FreeType: only who draws pays for it

    name = "DejaVuSans-Bold-subset.ttf" if bold else "DejaVuSans-subset.ttf"
    content = files("ctpdeploy.runtime.report").joinpath("assets", name).read_bytes()
    try:
        return ImageFont.truetype(BytesIO(content), pixels)
    except ImportError as error:
        raise BackendError(
            "Pillow was built without FreeType here, so that no text can be drawn: "
            "run pip install --force-reinstall --only-binary pillow pillow."
        ) from error
