"""Signs that a case is not what its files claim; a reader should look, nothing is refused."""

import numpy as np

from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import Finding, finding
from ctpdeploy.runtime.perfusion.brain import tissue

__all__ = ["implausible"]

_CENTRAL_VOLUME_RANGE = (0.25, 4.0)
"""MTT = 60 CBV / CBF holds within vendors' smoothing and clipping; swapped maps miss it by far."""


def implausible(case: Case) -> tuple[Finding, ...]:
    """Findings on maps and times of a case that do not fit together."""
    brain = tissue(case)
    if not brain.any():
        return (finding("maps-empty", "The perfusion maps are empty: are these the right files?"),)
    findings = []
    cbf, cbv, mtt, tmax = (float(np.median(case.maps[name][brain])) for name in ("cbf", "cbv", "mtt", "tmax"))
    ratio = mtt * cbf / (60.0 * cbv)
    if not _CENTRAL_VOLUME_RANGE[0] < ratio < _CENTRAL_VOLUME_RANGE[1]:
        sentence = (
            f"MTT is {ratio:.2g} times 60 CBV / CBF (medians {mtt:.3g} s, {cbv:.3g}, {cbf:.3g}): are the maps swapped?"
        )
        findings.append(finding("maps-contradict", sentence))
    length = float(case.times[-1] - case.times[0])
    if tmax > length:
        sentence = f"The median Tmax of {tmax:.3g} s is longer than the series of {length:.3g} s."
        findings.append(finding("tmax-too-long", sentence))
    return tuple(findings)
