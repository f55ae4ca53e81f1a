"""The inspection of what a case holds, before anything is computed from it."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import FloatArray
from ctpdeploy.runtime.data.finding import Finding
from ctpdeploy.runtime.quality.agreement import inspect_maps
from ctpdeploy.runtime.quality.blocks import Blocks
from ctpdeploy.runtime.quality.durations import inspect_bolus, inspect_durations
from ctpdeploy.runtime.quality.series import inspect_series

__all__ = ["inspect"]


def inspect(
    series: NDArray[Any],
    times: FloatArray,
    spacing: tuple[float, float, float],
    maps: Mapping[str, FloatArray] | None,
    *,
    called: str,
) -> tuple[Finding, ...]:
    """Findings on a series, and on maps beside it.

    Args:
        series: ``(T, D, H, W)``, said to be in HU.
        times: of its frames ``(T,)`` in s, ascending.
        spacing: voxel size ``(dz, dy, dx)`` in mm.
        maps: by the names of ``MAP_NAMES``, ``(D, H, W)``, not negative; None where there are none.
        called: name of the case or its series, for the error.

    Raises:
        InputError: something was found with which no right mask is possible.
    """
    seen = Blocks.of(series, spacing)
    findings = (*inspect_series(seen), *inspect_bolus(seen, times))
    _refuse(findings, called)
    if maps is not None:
        findings = (*findings, *inspect_maps(maps, seen), *inspect_durations(maps, seen, times))
        _refuse(findings, called)
    return findings


def _refuse(findings: tuple[Finding, ...], called: str) -> None:
    for found in findings:
        if found.severity == "refusal":
            raise InputError(f"{called} is refused ({found.code}). {found.sentence}")
