"""Figures as they are stored: what the digits behind the fourth say is chance."""

import math
from typing import Any

__all__ = ["rounded"]


def rounded(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Floats with four significant digits; None for NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")
    return value
