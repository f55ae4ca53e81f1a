"""Figures as they are stored: what the digits behind the fourth say is chance."""

from typing import Any

__all__ = ["rounded"]


def rounded(value: Any) -> Any:  # noqa: ANN401  any JSON value
    """Floats with four significant digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
