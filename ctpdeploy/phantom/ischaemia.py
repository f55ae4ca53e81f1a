"""Ischaemia: how far flow falls, how volume and delay answer, and what dies.

::

    severity  s = w (1 - c exp(-d / L)) (1 - 0.55 c) (1 + 0.12 noise)    w territory, d mm inside it, c collaterals
    flow      f = clip(1 - s, 0.04, 1)
    volume    g = (1 + 0.25 exp(-((f - 0.6) / 0.18)^2)) min(1, f / 0.35)^0.75    vasodilatation, then collapse
    delay     + (1 - f)^1.1 D
    infarct   where f < 0.39 (1 - exp(-onset / 3 h)) [1 grey, 0.80 white] + patient + noise

Grey matter dies at a higher flow than white (34.6 against 20.8 ml/100g/min, Arakawa 2006). Healthy values follow the
Erlangen phantom (grey CBF 53, CBV 3.3; white 25, 1.9), core and penumbra come out near its values and near the
region ratios of AJNR 2003;24:436. The oedema of the core darkens CT by 1.8 HU for each percent of water
(Dzialowski 2004).
"""

from dataclasses import dataclass

import numpy as np

from ctpdeploy.phantom.anatomy import Head, Point, ellipsoid
from ctpdeploy.phantom.fields import Volume, logistic, smooth_noise
from ctpdeploy.phantom.territories import SITES, Site, Territories, occluded

__all__ = ["Stroke", "Tissue", "draw_stroke", "make_tissue"]

BORDER_MM = 2.5
OEDEMA_HU = -1.8  # per % of net water uptake
UPTAKE_PER_HOUR, UPTAKE_MAX = 0.45, 3.5  # %
OLD_INFARCT_HU = 10.0
OLD_INFARCT_FLOW = 0.15


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """What happened to a patient.

    Attributes:
        site: where the clot sits.
        side: +1 right, -1 left.
        onset_hours: from onset to the scan.
        collateral: c, 0 none to 1.
        collateral_mm: L, how far collaterals reach in from the border.
        deep_severity: least severity in the end arteries of the basal ganglia (M1 and ICA-T).
        delay: D in s.
        threshold: patient's own part of the infarct threshold, a relative flow.
        old_infarct: centre in mm and radius in mm of an old infarct, if any.
        stenosis: extra delay in s of the other side's MCA and ACA; 0 for none.
    """

    site: Site
    side: int
    onset_hours: float
    collateral: float
    collateral_mm: float
    deep_severity: float
    delay: float
    threshold: float
    old_infarct: tuple[Point, float] | None
    stenosis: float


@dataclass(frozen=True, kw_only=True)
class Tissue:
    """State of every fine voxel, ``(D * subslices, H, W)``, float32; zero outside grey and white matter.

    Attributes:
        cbf, cbv: ml/100g/min and ml/100g.
        mtt, delay: s.
        core: share that is infarcted, 0 to 1.
        penumbra: share that is short of blood and alive, 0 to 1.
        old: share that is an old infarct, 0 to 1.
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


def draw_stroke(rng: np.random.Generator, slab: tuple[float, float], info_gap: float) -> Stroke:
    """Draw what happened; an old infarct lies within the ``slab`` (z from, to, in mm) that is scanned."""
    site = list(SITES)[rng.choice(len(SITES), p=list(SITES.values()))]
    return Stroke(
        site=site,
        side=int(rng.choice((1, -1))),
        onset_hours=rng.uniform(1.0, 8.0),
        collateral=rng.uniform(0.20, 0.80),
        collateral_mm=rng.uniform(8.0, 18.0),
        deep_severity=rng.uniform(0.75, 0.98) * (site in ("M1", "ICA-T")),
        delay=rng.uniform(5.0, 9.0),
        threshold=rng.normal(0.0, 0.04),
        stenosis=rng.uniform(1.0, 3.0) * (rng.random() < 0.3),
        old_infarct=_draw_old_infarct(rng, slab) if rng.random() < 0.5 * info_gap else None,
    )


def make_tissue(
    head: Head, stroke: Stroke, territories: Territories, rng: np.random.Generator, info_gap: float
) -> Tissue:
    """Haemodynamics and fate of every fine voxel."""
    alive = (head.grey | head.white).astype(np.float32)
    cbf, cbv, delay = _healthy(head, rng)
    flow = np.clip(1 - _severity(head, stroke, territories, rng), 0.04, 1.0)
    core = _core(head, stroke, flow, rng, info_gap)
    penumbra = logistic((0.55 - flow) / 0.04) * (1 - core)
    old = _old(head, stroke, rng)
    healthy_side = _one_side(np.maximum(territories.mca, territories.aca), head.x, -stroke.side)
    delay += (1 - flow) ** 1.1 * stroke.delay + stroke.stenosis * logistic(healthy_side / BORDER_MM)
    cbf *= flow * (1 - (1 - OLD_INFARCT_FLOW) * old)
    cbv *= _volume(flow) * (1 - (1 - OLD_INFARCT_FLOW) * old)
    uptake = min(UPTAKE_PER_HOUR * stroke.onset_hours, UPTAKE_MAX) * info_gap
    oedema = OEDEMA_HU * uptake * np.maximum(core, 0.25 * penumbra * head.grey) * (1 - old)
    values = {
        "cbf": cbf,
        "cbv": cbv,
        "mtt": np.clip(60 * cbv / cbf, 2.0, 30.0),
        "delay": delay,
        "core": core * (1 - old),
        "penumbra": penumbra * (1 - old),
        "old": old,
        "hu": oedema + old * (OLD_INFARCT_HU - head.hu),
    }
    return Tissue(**{name: (value * alive).astype(np.float32) for name, value in values.items()})


def _draw_old_infarct(rng: np.random.Generator, slab: tuple[float, float]) -> tuple[Point, float]:
    """Centre and radius in mm, on either side, off the midline."""
    x = rng.uniform(15.0, 50.0) * rng.choice((1.0, -1.0))
    return (float(x), rng.uniform(-65.0, 35.0), rng.uniform(*slab)), rng.uniform(4.0, 11.0)


def _healthy(head: Head, rng: np.random.Generator) -> tuple[Volume, Volume, Volume]:
    """CBF, CBV and delay of the patient before the stroke."""
    flows, volumes = (rng.uniform(52, 68), rng.uniform(20, 26)), (rng.uniform(3.6, 4.4), rng.uniform(1.7, 2.1))
    arrival, white_lag = rng.uniform(0.4, 1.5), rng.uniform(0.0, 0.3)
    cbf = np.where(head.grey, *flows) * np.exp(0.10 * smooth_noise(rng, 8.0, head.grid))
    cbv = np.where(head.grey, *volumes) * np.exp(0.08 * smooth_noise(rng, 8.0, head.grid))
    return cbf, cbv, arrival + white_lag * head.white + np.zeros_like(cbf)


def _severity(head: Head, stroke: Stroke, territories: Territories, rng: np.random.Generator) -> Volume:
    """s: 0 where flow is untouched, 1 where it has stopped."""
    inside = _one_side(occluded(stroke.site, territories), head.x, stroke.side)
    supply = 1 - stroke.collateral * np.exp(-np.clip(inside, 0, None) / stroke.collateral_mm)
    severity = logistic(inside / BORDER_MM) * supply * (1 - 0.55 * stroke.collateral)
    if stroke.deep_severity:
        deep = _one_side(territories.deep, head.x, stroke.side)
        severity = np.maximum(severity, stroke.deep_severity * logistic(deep / BORDER_MM))
    return severity * (1 + 0.12 * smooth_noise(rng, 7.0, head.grid))


def _one_side(distance: Volume, x: Volume, side: int) -> Volume:
    """The part of a territory on one side, again as a signed distance."""
    return np.minimum(distance, side * x)


def _volume(flow: Volume) -> Volume:
    """Relative CBV of relative CBF."""
    return (1 + 0.25 * np.exp(-(((flow - 0.6) / 0.18) ** 2))) * np.clip(flow / 0.35, None, 1) ** 0.75


def _core(head: Head, stroke: Stroke, flow: Volume, rng: np.random.Generator, info_gap: float) -> Volume:
    """Share of each fine voxel that has died."""
    reached = 0.39 * (1 - np.exp(-stroke.onset_hours / 3.0))
    tissue = np.where(head.white, 1 - 0.20 * info_gap, 1.0)
    threshold = reached * tissue + stroke.threshold + 0.02 * smooth_noise(rng, 6.0, head.grid)
    return logistic((threshold - flow) / 0.02)


def _old(head: Head, stroke: Stroke, rng: np.random.Generator) -> Volume:
    """Share of each fine voxel that is an old infarct, with an uneven border."""
    noise = smooth_noise(rng, 4.0, head.grid)
    if stroke.old_infarct is None:
        return np.zeros_like(noise)
    centre, radius = stroke.old_infarct
    distance = radius * (1 - ellipsoid((head.x, head.y, head.z), centre, (radius,) * 3))
    return logistic((distance + 1.5 * noise) / 0.7)
