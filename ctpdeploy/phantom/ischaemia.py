"""Ischaemia: the fall of flow, the response of volume and delay, and the infarct.

::

    severity  s = w (1 - c exp(-d / L)) (1 - 0.55 c) (1 + 0.12 noise)    w territory, d mm inside it, c collaterals
    flow      f = max((1 - s)^1.3, 0.04)
    volume    g = (1 + 0.25 exp(-((f - 0.6) / 0.18)^2)) min(1, f / 0.35)^0.75    vasodilatation, then collapse
    delay     + (1 - f)^3 D
    infarct   where f < 0.34 (1 - exp(-onset / 3 h)) [1 grey, 0.80 white] + patient + noise
    then, where vessels have opened again (noise + 2 r - 2 > 0), s is 0.15 of what it was

The exponents, 0.34 and its noise were fitted to the volumes of ISLES 2018 (docs/phantom.md), such that Tmax 6 s falls
near a relative flow of 0.4 to 0.5: in PET, penumbra and oligaemia part at Tmax 5.6 s (PMC6593670).

Grey matter dies at a higher flow than white (34.6 against 20.8 ml/100g/min, Arakawa 2006). Healthy values follow the
Erlangen phantom (grey CBF 53, CBV 3.3; white 25, 1.9), core and penumbra come out near its values and near the
region ratios of AJNR 2003;24:436. The oedema of the core darkens CT by 1.8 HU for each percent of water
(Dzialowski 2004).
"""

from dataclasses import dataclass

import numpy as np

from ctpdeploy.phantom.fields import Volume, either, logistic
from ctpdeploy.phantom.head import BrainVoxels, ellipsoid
from ctpdeploy.phantom.procedural import VENTRICLES
from ctpdeploy.phantom.stroke import Ball, Stroke
from ctpdeploy.phantom.territories import Territories, occluded
from ctpdeploy.runtime.data.case import BoolArray

__all__ = ["Tissue", "make_tissue"]

BORDER_MM, BALL_BORDER_MM = 2.5, 0.7
OEDEMA_HU = -1.8  # per % of net water uptake
UPTAKE_PER_HOUR, UPTAKE_MAX = 0.45, 3.5  # %
OLD_INFARCT_HU = 10.0
OLD_INFARCT_FLOW = 0.15
EMBOLUS_SEVERITY = 0.95
CAP_MM = 7.0
FLOW_EXPONENT, LEAST_FLOW = 1.3, 0.04
DELAY_EXPONENT = 3.0
THRESHOLD, THRESHOLD_NOISE = 0.34, 0.05
ONSET_TAU_H = 3.0
REMAINING, REOPENED_MM = 0.15, 9.0  # of the severity where vessels are open again; size of such places


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """State of every fine voxel, ``(D * subslices, H, W)``, float32; zero outside grey and white matter.

    Attributes:
        cbf, cbv: ml/100g/min and ml/100g.
        mtt, delay: s.
        core: share that is infarcted, 0 to 1.
        penumbra: share that is short of blood and alive, 0 to 1.
        old: share that was lost long before, to an old infarct or to leukoaraiosis, 0 to 1.
        hu: change of the baseline in HU.
    """

    cbf: Volume
    cbv: Volume
    mtt: Volume
    delay: Volume
    core: Volume
    penumbra: Volume
    old: Volume
    hu: Volume


def make_tissue(
    brain: BrainVoxels, stroke: Stroke, territories: Territories, rng: np.random.Generator, info_gap: float
) -> Tissue:
    """Haemodynamics and fate of every fine voxel."""
    alive = (brain.grey | brain.white).astype(np.float32)
    cbf, cbv, delay = _healthy(brain, rng)
    severity = _severity(brain, stroke, territories, rng)
    core = _core(brain, stroke, _flow(severity), rng, info_gap)
    flow = _flow(severity * either(_reopened(brain, stroke, rng), REMAINING, 1.0))
    penumbra = logistic((0.55 - flow) / 0.04) * (1 - core)
    old = _old(brain, stroke, rng)
    if stroke.leukoaraiosis:
        old = np.maximum(old, stroke.leukoaraiosis * _periventricular(brain, rng))
    healthy_side = _one_side(np.maximum(territories.mca, territories.aca), brain.x, -stroke.side)
    delay += (1 - flow) ** DELAY_EXPONENT * stroke.delay + stroke.stenosis * logistic(healthy_side / BORDER_MM)
    cbf *= flow * (1 - (1 - OLD_INFARCT_FLOW) * old)
    cbv *= _volume(flow) * (1 - (1 - OLD_INFARCT_FLOW) * old)
    uptake = min(UPTAKE_PER_HOUR * stroke.onset_hours, UPTAKE_MAX) * info_gap
    oedema = OEDEMA_HU * uptake * np.maximum(core, 0.25 * penumbra * brain.grey) * (1 - old)
    values = {
        "cbf": cbf,
        "cbv": cbv,
        "mtt": np.clip(60 * cbv / cbf, 2.0, 30.0),
        "delay": delay,
        "core": core * (1 - old),
        "penumbra": penumbra * (1 - old),
        "old": old,
        "hu": oedema + old * (OLD_INFARCT_HU - brain.hu),
    }
    return Tissue(**{name: brain.volume(value * alive) for name, value in values.items()})


def _healthy(brain: BrainVoxels, rng: np.random.Generator) -> tuple[Volume, Volume, Volume]:
    """CBF, CBV and delay of the patient before the stroke."""
    flows, volumes = (rng.uniform(52, 68), rng.uniform(20, 26)), (rng.uniform(3.6, 4.4), rng.uniform(1.7, 2.1))
    arrival, white_lag = rng.uniform(0.1, 1.1), rng.uniform(0.0, 0.3)  # mean Tmax 4.3 s, as in ISLES 2018
    cbf = either(brain.grey, *flows) * np.exp(0.10 * brain.noise(rng, 8.0))
    cbv = either(brain.grey, *volumes) * np.exp(0.08 * brain.noise(rng, 8.0))
    return cbf, cbv, either(brain.white, arrival + white_lag, arrival)


def _severity(brain: BrainVoxels, stroke: Stroke, territories: Territories, rng: np.random.Generator) -> Volume:
    """s: 0 where flow is untouched, 1 where it has stopped."""
    territory = occluded(stroke.site, territories)
    if stroke.branch is not None:
        territory = np.minimum(territory, _inside_ball(brain, stroke.branch))
    inside = _one_side(territory, brain.x, stroke.side)
    supply = 1 - stroke.collateral * np.exp(-np.clip(inside, 0, None) / stroke.collateral_mm)
    severity = logistic(inside / BORDER_MM) * supply * (1 - 0.55 * stroke.collateral)
    if stroke.deep_severity:
        deep = _one_side(territories.deep, brain.x, stroke.side)
        severity = np.maximum(severity, stroke.deep_severity * logistic(deep / BORDER_MM))
    for embolus in stroke.emboli:
        severity = np.maximum(severity, EMBOLUS_SEVERITY * logistic(_inside_ball(brain, embolus) / BALL_BORDER_MM))
    return severity * (1 + 0.12 * brain.noise(rng, 7.0))


def _flow(severity: Volume) -> Volume:
    """Relative CBF."""
    return np.clip(np.clip(1 - severity, 0.0, 1.0) ** FLOW_EXPONENT, LEAST_FLOW, 1.0)


def _reopened(brain: BrainVoxels, stroke: Stroke, rng: np.random.Generator) -> BoolArray:
    """Where vessels have opened again since the core died."""
    if not stroke.reperfusion:
        return np.zeros(brain.x.shape, dtype=bool)
    return brain.noise(rng, REOPENED_MM) + 2 * stroke.reperfusion - 2 > 0


def _one_side(distance: Volume, x: Volume, side: int) -> Volume:
    """The part of a territory on one side, again as a signed distance."""
    return np.minimum(distance, side * x)


def _volume(flow: Volume) -> Volume:
    """Relative CBV of relative CBF."""
    return (1 + 0.25 * np.exp(-(((flow - 0.6) / 0.18) ** 2))) * np.clip(flow / 0.35, None, 1) ** 0.75


def _core(brain: BrainVoxels, stroke: Stroke, flow: Volume, rng: np.random.Generator, info_gap: float) -> Volume:
    """Share of each fine voxel that has died."""
    reached = float(THRESHOLD * (1 - np.exp(-stroke.onset_hours / ONSET_TAU_H)))
    tissue = either(brain.white, 1 - 0.20 * info_gap, 1.0)
    threshold = reached * tissue + stroke.threshold + THRESHOLD_NOISE * brain.noise(rng, 6.0)
    return logistic((threshold - flow) / 0.02)


def _old(brain: BrainVoxels, stroke: Stroke, rng: np.random.Generator) -> Volume:
    """Share of each fine voxel that is an old infarct, with an uneven border."""
    if stroke.old_infarct is None:
        return np.zeros_like(brain.x)
    return logistic((_inside_ball(brain, stroke.old_infarct) + 1.5 * brain.noise(rng, 4.0)) / BALL_BORDER_MM)


def _periventricular(brain: BrainVoxels, rng: np.random.Generator) -> Volume:
    """Weight of leukoaraiosis: 1 in the white matter near a ventricle, 0 far from it, with an uneven border."""
    place = (abs(brain.x), brain.y, brain.z)
    caps = [ellipsoid(place, centre, (a + CAP_MM, b + CAP_MM, c + CAP_MM)) for centre, (a, b, c) in VENTRICLES]
    near = 1 - np.min(caps, axis=0)
    return brain.white * logistic((near + 0.2 * brain.noise(rng, 4.0)) / 0.1)


def _inside_ball(brain: BrainVoxels, ball: Ball) -> Volume:
    """Signed distance in mm to the border of a ball, positive inside."""
    centre, radius = ball
    return radius * (1 - ellipsoid((brain.x, brain.y, brain.z), centre, (radius, radius, radius)))
