"""Signs that a case is not what its files claim; a reader should look, nothing is refused."""

import numpy as np

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.brain import tissue
from ctpdeploy.runtime.perfusion.hemispheres import healthy_tmax

__all__ = ["implausible"]

_CENTRAL_VOLUME_RANGE = (0.25, 4.0)
"""MTT = 60 CBV / CBF holds within vendors' smoothing and clipping; swapped maps miss it by far."""

_HEALTHY_TMAX_S = (1.0, 4.5)
"""Median of the hemisphere with less delay; 3.5 s is usual. A vein in the place of the artery takes it to 0."""

_LATEST_PERCENT = 99.0
"""Of Tmax in tissue; its maximum may be noise."""


def implausible(case: Case) -> tuple[Finding, ...]:
    """Findings on maps and times of a case that do not fit together."""
    brain = tissue(case)
    healthy = healthy_tmax(case.maps["tmax"], brain)
    if healthy is None:
        return (finding("maps-empty", "The perfusion maps are empty: are these the right files?"),)
    findings = []
    cbf, cbv, mtt = (float(np.median(case.maps[name][brain])) for name in ("cbf", "cbv", "mtt"))
    ratio = mtt * cbf / (60.0 * cbv)
    if not _CENTRAL_VOLUME_RANGE[0] < ratio < _CENTRAL_VOLUME_RANGE[1]:
        sentence = (
            f"MTT is {ratio:.2g} times 60 CBV / CBF (medians {mtt:.3g} s, {cbv:.3g}, {cbf:.3g}): are the maps swapped?"
        )
        findings.append(finding("maps-contradict", sentence))
    length = float(case.times[-1] - case.times[0])
    latest = float(np.percentile(case.maps["tmax"][brain], _LATEST_PERCENT))
    if latest > length:
        sentence = (
            f"Tmax reaches {latest:.3g} s, and the series is {length:.3g} s long: is it in seconds, and of this series?"
        )
        findings.append(finding("tmax-too-long", sentence))
    sentence = f"The median Tmax of the hemisphere with less delay is {healthy:.2g} s"
    onset = case.perfusion is not None and case.perfusion.tmax == "onset"  # of which the first frame is no sign
    if healthy < _HEALTHY_TMAX_S[0] and not onset:
        sentence += f", under {_HEALTHY_TMAX_S[0]:g} s: was the arterial input taken from a vein?"
        findings.append(finding("tmax-low", sentence))
    if healthy > _HEALTHY_TMAX_S[1]:
        sentence += f", over {_HEALTHY_TMAX_S[1]:g} s: its delay may come from narrowed arteries or a slow heart."
        findings.append(finding("tmax-high", sentence))
    return tuple(findings)
