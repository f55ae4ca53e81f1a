"""Assembly: a checked case from arrays in the axes of their source, whatever they were read from."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.data.case import Case, FloatArray, IntervalSource
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.data.geometry import Geometry
from ctpdeploy.runtime.data.origin import CaseKind
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.source import Source
from ctpdeploy.runtime.io.limits import require_limits
from ctpdeploy.runtime.quality.inspection import inspect

__all__ = ["SET_ASIDE", "assemble_case"]

SET_ASIDE: Final = finding(
    "maps-set-aside", "Computed maps were asked for, so that maps which may come with the series were not looked at."
)
"""Of whoever reads a case of which computed maps are wanted."""


def assemble_case(
    identifier: str,
    series: NDArray[Any],
    geometry: Geometry,
    times: FloatArray,
    *,
    maps: Mapping[str, FloatArray] | None,
    called: str,
    interval_source: IntervalSource = "times",
    perfusion: PerfusionConfig | None = None,
    slice_times: FloatArray | None = None,
    dwi: NDArray[Any] | None = None,
    lesion: NDArray[Any] | None = None,
    source: Source | None = None,
    files: Mapping[str, str] | None = None,
    findings: tuple[Finding, ...] = (),
    kind: CaseKind = "unknown",
    maker: str = "",
) -> Case:
    """Turn volumes into the axes of a case, and compute the maps where there are none.

    No flow, volume or time is negative. Makers of maps mark the outside of the brain with negative numbers (Tmax is
    -30 there in ISLES 2024); here, as in :mod:`ctpdeploy.runtime.perfusion.maps`, it is 0 in every map.

    Args:
        identifier: name of the case.
        series: ``(X, Y, Z, T)`` in HU, int16 or float32, finite.
        geometry: of the source.
        times: frame times ``(T,)`` in s, from 0, ascending.
        maps: all of ``MAP_NAMES`` in ``MAP_UNITS``, float32 ``(X, Y, Z)``; None to have them computed.
        called: name of the series in error messages.
        interval_source: what stated the times.
        perfusion: how they are computed; defaults to ``PerfusionConfig()``.
        slice_times: ``(T, Z)`` in s, slices in the order of the source's last axis, where the source has them.
        dwi: ``(X, Y, Z)`` in its own units.
        lesion: ``(X, Y, Z)``, lesion from 0.5 on: masks resampled by other tools read 0.9999.
        source: as the case keeps it.
        files: name of the file behind each part.
        findings: of reading so far.
        kind: whether the series says that it is a phantom.
        maker: of the scanner, where it is stated.

    Raises:
        InputError: a limit is not kept, the series is no head in HU with a bolus, the maps cannot be of it, or none can
            be computed.
    """
    perfusion = perfusion or PerfusionConfig()
    require_limits(called, geometry.to_case(series).shape[1:], geometry.spacing, times)
    if slice_times is not None:
        slice_times = _foot_to_head(slice_times, geometry, called)
    thin, geometry = geometry, geometry.in_slabs(perfusion.least_slice_mm)
    if geometry.slabs is not None:
        sentence = (
            f"Slices of {thin.spacing[0]:.3g} mm were averaged to slabs of {geometry.spacing[0]:.3g} mm, such as the "
            "networks know; the lesion is the same in each slice of a slab."
        )
        findings = (*findings, finding("slices-averaged", sentence))
        if slice_times is not None:
            slice_times = geometry.slab_means(slice_times, axis=1, dtype=np.float64)
    oriented, volumes = geometry.to_case(series), None
    if maps is not None:
        volumes = {name: np.maximum(geometry.to_case(values), np.float32(0.0)) for name, values in maps.items()}
    findings = (*findings, *inspect(oriented, times, geometry.spacing, volumes, called=called))
    if volumes is None:
        # linear algebra of SciPy takes a quarter of a second to import: only who computes maps pays for it
        from ctpdeploy.runtime.perfusion.maps import perfusion_maps

        clock = times if slice_times is None else slice_times
        try:
            computed = perfusion_maps(oriented, clock, geometry.spacing, perfusion)
        except InputError as error:
            raise InputError(f"{called} gives no perfusion maps. {error}") from error
        volumes = computed.maps
        sentence = "The perfusion maps were computed from the series."
        findings = (*findings, finding("maps-computed", sentence), *computed.findings)
    return Case(
        identifier=identifier,
        series=oriented,
        maps=volumes,
        times=times,
        interval_source=interval_source,
        slice_times=slice_times,
        geometry=geometry,
        source=source,
        perfusion=perfusion if maps is None else None,
        dwi=None if dwi is None else geometry.to_case(dwi.astype(np.float32)),
        lesion=None if lesion is None else geometry.to_case(lesion >= 0.5),
        files=files or {},
        findings=findings,
        kind=kind,
        maker=maker,
    )


def _foot_to_head(clock: FloatArray, geometry: Geometry, called: str) -> FloatArray:
    """Times of each frame and slice ``(T, K)`` in the order of the case's slices.

    Raises:
        InputError: slices of the case are not those of the source.
    """
    order = geometry.slice_order()
    if order is None:
        raise InputError(
            f"{called} states times of each slice, which need axial slices: the last axis of the affine must run along "
            "the body."
        )
    return clock[:, order]
