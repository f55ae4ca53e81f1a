"""The stroke of a patient: the clot, its circumstances, and older lesions."""

from dataclasses import dataclass

import numpy as np

from ctpdeploy.phantom.head import Point
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.phantom.territories import SITES, Site

__all__ = ["Ball", "Stroke", "draw_stroke"]

Ball = tuple[Point, float]
"""Centre and radius in mm."""

STENOSIS_SHARE, STENOSIS_S = 0.08, (0.5, 2.0)
"""A carotid stenosis opposite to the clot: 7 to 8 % (Front Neurol 2018;9:437, 27 of 392; 2023;14:1237721, 38 of 460).
Its delay follows no source: with more, the healthy side passes Tmax > 6 s as a whole."""

DELAY_S = (10.0, 17.0)
COLLATERAL, COLLATERAL_SPAN, COLLATERAL_BETA = 0.10, 0.75, (1.2, 1.3)
COLLATERAL_MM = (4.0, 10.0)
REPERFUSED_SHARE, REPERFUSION = 0.5, (0.4, 1.4)
BRANCH_MM, BRANCH_X, BRANCH_Y = (20.0, 38.0), (38.0, 58.0), (-50.0, 30.0)
"""Fitted by hand to the quartiles of ISLES 2018 (docs/phantom.md): volumes of Tmax > 6 s and of lesions, their ratio,
and how much of Tmax > 6 s is also > 10 s. In half the patients vessels have opened since the core died, as lesions
larger than Tmax > 6 s show (a quarter of the real ones)."""

MAX_EMBOLI, EMBOLUS_MM = 5, (2.0, 5.0)
RAREFACTION = (0.1, 0.3)


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """The stroke of a patient.

    Attributes:
        site: of the clot.
        branch: ball in which a clot in a distal branch (M3) cuts off the territory; None elsewhere.
        side: +1 right, -1 left.
        onset_hours: from onset to the scan.
        collateral: c, 0 none to 1.
        collateral_mm: L, how far collaterals reach in from the border.
        deep_severity: least severity in the end arteries of the basal ganglia (M1 and ICA-T).
        delay: D in s.
        reperfusion: r, how much of the territory is open again by the time of the scan; 0 for nothing.
        threshold: patient's own part of the infarct threshold, a relative flow.
        old_infarct: an old infarct, if any.
        stenosis: extra delay in s of the other side's MCA and ACA; 0 for none.
        emboli: further small infarcts on the side of the clot.
        leukoaraiosis: share of the white matter around the ventricles that is lost; 0 for none.
    """

    site: Site
    branch: Ball | None
    side: int
    onset_hours: float
    collateral: float
    collateral_mm: float
    deep_severity: float
    delay: float
    reperfusion: float
    threshold: float
    old_infarct: Ball | None
    stenosis: float
    emboli: tuple[Ball, ...]
    leukoaraiosis: float


def draw_stroke(
    config: PhantomConfig, slab: tuple[float, float], rng: np.random.Generator, extras: np.random.Generator
) -> Stroke:
    """Draw what happened; infarcts lie within the ``slab`` (z from, to, in mm) that is scanned.

    Emboli and leukoaraiosis have ``extras``, random numbers of their own, so that their strengths change nothing else.
    """
    site: Site = "none" if config.healthy else list(SITES)[rng.choice(len(SITES), p=list(SITES.values()))]
    side = int(rng.choice((1, -1)))
    return Stroke(
        site=site,
        branch=_draw_branch(rng, side, slab) if site == "M3" else None,
        side=side,
        onset_hours=rng.uniform(1.0, 8.0),
        collateral=COLLATERAL + COLLATERAL_SPAN * rng.beta(*COLLATERAL_BETA),
        collateral_mm=rng.uniform(*COLLATERAL_MM),
        deep_severity=rng.uniform(0.75, 0.98) * (site in ("M1", "ICA-T")),
        delay=rng.uniform(*DELAY_S),
        reperfusion=rng.uniform(*REPERFUSION) * (rng.random() < REPERFUSED_SHARE),
        threshold=rng.normal(0.0, 0.04),
        stenosis=rng.uniform(*STENOSIS_S) * (rng.random() < STENOSIS_SHARE) * (not config.healthy),
        old_infarct=_draw_old_infarct(rng, slab)
        if rng.random() < 0.5 * config.info_gap * (not config.healthy)
        else None,
        leukoaraiosis=config.leukoaraiosis * extras.uniform(*RAREFACTION),
        emboli=() if config.healthy else _draw_emboli(extras, side, slab, config.emboli),
    )


def _draw_branch(rng: np.random.Generator, side: int, slab: tuple[float, float]) -> Ball:
    """On the convexity, at the clot's side."""
    return (side * rng.uniform(*BRANCH_X), rng.uniform(*BRANCH_Y), rng.uniform(*slab)), rng.uniform(*BRANCH_MM)


def _draw_old_infarct(rng: np.random.Generator, slab: tuple[float, float]) -> Ball:
    """On either side, off the midline."""
    x = rng.uniform(15.0, 50.0) * rng.choice((1.0, -1.0))
    return (float(x), rng.uniform(-65.0, 35.0), rng.uniform(*slab)), rng.uniform(4.0, 11.0)


def _draw_emboli(rng: np.random.Generator, side: int, slab: tuple[float, float], strength: float) -> tuple[Ball, ...]:
    """On the clot's side, off the midline."""
    count = round(strength * rng.integers(0, MAX_EMBOLI + 1))
    return tuple(
        ((side * rng.uniform(10.0, 60.0), rng.uniform(-65.0, 45.0), rng.uniform(*slab)), rng.uniform(*EMBOLUS_MM))
        for _ in range(count)
    )
