"""The stroke of a patient: the clot, its circumstances, and older lesions."""

from dataclasses import dataclass

import numpy as np

from ctpdeploy.phantom.head import Point
from ctpdeploy.phantom.settings import PhantomConfig
from ctpdeploy.phantom.territories import SITES, Site

__all__ = ["Ball", "Stroke", "draw_stroke"]

Ball = tuple[Point, float]
"""Centre and radius in mm."""

MAX_EMBOLI, EMBOLUS_MM = 5, (2.0, 5.0)
RAREFACTION = (0.1, 0.3)


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """The stroke of a patient.

    Attributes:
        site: of the clot.
        side: +1 right, -1 left.
        onset_hours: from onset to the scan.
        collateral: c, 0 none to 1.
        collateral_mm: L, how far collaterals reach in from the border.
        deep_severity: least severity in the end arteries of the basal ganglia (M1 and ICA-T).
        delay: D in s.
        threshold: patient's own part of the infarct threshold, a relative flow.
        old_infarct: an old infarct, if any.
        stenosis: extra delay in s of the other side's MCA and ACA; 0 for none.
        emboli: further small infarcts on the side of the clot.
        leukoaraiosis: share of the white matter around the ventricles that is lost; 0 for none.
    """

    site: Site
    side: int
    onset_hours: float
    collateral: float
    collateral_mm: float
    deep_severity: float
    delay: float
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
    site = list(SITES)[rng.choice(len(SITES), p=list(SITES.values()))]
    side = int(rng.choice((1, -1)))
    return Stroke(
        site=site,
        side=side,
        onset_hours=rng.uniform(1.0, 8.0),
        collateral=rng.uniform(0.20, 0.80),
        collateral_mm=rng.uniform(8.0, 18.0),
        deep_severity=rng.uniform(0.75, 0.98) * (site in ("M1", "ICA-T")),
        delay=rng.uniform(5.0, 9.0),
        threshold=rng.normal(0.0, 0.04),
        stenosis=rng.uniform(1.0, 3.0) * (rng.random() < 0.3),
        old_infarct=_draw_old_infarct(rng, slab) if rng.random() < 0.5 * config.info_gap else None,
        leukoaraiosis=config.leukoaraiosis * extras.uniform(*RAREFACTION),
        emboli=_draw_emboli(extras, side, slab, config.emboli),
    )


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
