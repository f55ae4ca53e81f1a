"""What else a patient has, each against the same patient without it: old infarct, stenosis, emboli, leukoaraiosis."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ctpdeploy.phantom import PhantomConfig, make_patient
from ctpdeploy.phantom.anatomy import make_head
from ctpdeploy.phantom.diffusion import make_dwi
from ctpdeploy.phantom.fields import Grid
from ctpdeploy.phantom.head import Head, ellipsoid
from ctpdeploy.phantom.ischaemia import Tissue, make_tissue
from ctpdeploy.phantom.stroke import Stroke, draw_stroke
from ctpdeploy.phantom.territories import make_territories

STROKE = Stroke(
    site="M2 inferior",
    branch=None,
    side=1,
    onset_hours=4.0,
    collateral=0.4,
    collateral_mm=12.0,
    deep_severity=0.0,
    delay=13.5,
    reperfusion=0.0,
    threshold=0.0,
    old_infarct=None,
    stenosis=0.0,
    emboli=(),
    leukoaraiosis=0.0,
)


BALL = ((-34.0, -30.0, 24.0), 9.0)
"""In the white matter of the other side."""


@cache
def head() -> Head:
    grid = Grid.centred(size=96, slices=8, subslices=2, fov=220.0, thickness=5.0, bottom=0.0, centre_y=-17.0)
    whole, _ = make_head(grid, np.random.default_rng(0), "procedural")
    return whole


@cache
def tissue_of(stroke: Stroke) -> Tissue:
    brain = head().brain_voxels()
    territories = make_territories(brain, np.random.default_rng(1))
    return make_tissue(brain, stroke, territories, np.random.default_rng(2), 1.0)


def within(ball: tuple[tuple[float, float, float], float], share: float) -> np.ndarray:
    """Living voxels within a share of the ball's radius."""
    centre, radius = ball
    here = head()
    return (ellipsoid((here.x, here.y, here.z), centre, (radius,) * 3) < share) & (here.grey | here.white)


def test_an_old_infarct_has_no_flow_is_fluid_on_ct_and_dark_on_dwi() -> None:
    ill = replace(STROKE, old_infarct=BALL)
    before, after = tissue_of(STROKE), tissue_of(ill)
    inside, outside = within(BALL, 0.5), ~within(BALL, 2.0)
    np.testing.assert_allclose(after.cbf[inside] / before.cbf[inside], 0.15, atol=0.03)
    np.testing.assert_allclose((head().hu + after.hu)[inside], 10.0, atol=0.5)
    assert after.old[inside].min() > 0.98
    assert after.core[inside].max() == pytest.approx(0.0, abs=1e-3)
    np.testing.assert_allclose(after.cbf[outside], before.cbf[outside], rtol=0.01)
    images = [make_dwi(head().brain_voxels(), tissue, 4.0, np.random.default_rng(3)) for tissue in (before, after)]
    whole = head().grid.average(inside.astype(np.float32)) == 1
    assert whole.any()
    assert images[1][whole].mean() < 0.9 * images[0][whole].mean()


def test_a_stenosis_delays_the_other_side_and_kills_nothing() -> None:
    before, after = tissue_of(STROKE), tissue_of(replace(STROKE, stenosis=2.0))
    later = (after.delay - before.delay)[head().grey | head().white]
    x, y = (axis[head().grey | head().white] for axis in (head().x, head().y))
    assert np.median(later[(x < -15) & (y > -20)]) == pytest.approx(2.0, abs=0.1)
    assert abs(later[x > 10]).max() < 0.1
    np.testing.assert_array_equal(after.core, before.core)
    np.testing.assert_array_equal(after.cbf, before.cbf)


def test_an_embolus_is_a_small_infarct() -> None:
    ball = ((30.0, 30.0, 20.0), 5.0)
    before, after = tissue_of(STROKE), tissue_of(replace(STROKE, emboli=(ball,)))
    assert before.core[within(ball, 0.6)].max() < 0.01
    assert after.core[within(ball, 0.6)].min() > 0.9
    outside = ~within(ball, 2.5)
    np.testing.assert_allclose(after.core[outside], before.core[outside], atol=1e-3)


def test_leukoaraiosis_thins_white_matter_around_the_ventricles() -> None:
    before, after = tissue_of(STROKE), tissue_of(replace(STROKE, leukoaraiosis=0.2))
    here = head()
    beside = here.white & (ellipsoid((abs(here.x), here.y, here.z), (14, -8, 12), (7, 24, 11)) < 1)
    assert beside.sum() > 50
    np.testing.assert_allclose(np.median((after.cbf / np.maximum(before.cbf, 1))[beside]), 1 - 0.85 * 0.2, atol=0.02)
    assert -6 < (after.hu - before.hu)[beside].mean() < -2
    np.testing.assert_array_equal(after.cbf[here.grey], before.cbf[here.grey])
    far = (abs(here.x) > 45) & here.white
    np.testing.assert_allclose(after.cbf[far], before.cbf[far], rtol=0.01)
    assert np.median(after.core[beside]) == pytest.approx(np.median(before.core[beside]), abs=0.01)


def drawn(seed: int, config: PhantomConfig) -> Stroke:
    plan, extras = (np.random.default_rng((seed, part)) for part in range(2))
    return draw_stroke(config, (0.0, 20.0), plan, extras)


def test_strengths_change_what_they_name_and_nothing_else() -> None:
    strokes = [drawn(seed, PhantomConfig(emboli=1.0, leukoaraiosis=1.0)) for seed in range(300)]
    assert {len(stroke.emboli) for stroke in strokes} == set(range(6))
    balls = [(stroke.side, centre, radius) for stroke in strokes for centre, radius in stroke.emboli]
    assert all(side * x > 0 and 0 <= z <= 20 and 2 <= radius <= 5 for side, (x, _, z), radius in balls)
    assert 0.1 <= min(stroke.leukoaraiosis for stroke in strokes) < 0.12
    assert 0.28 < max(stroke.leukoaraiosis for stroke in strokes) <= 0.3
    plain = [drawn(seed, PhantomConfig()) for seed in range(300)]
    assert plain == [replace(stroke, emboli=(), leukoaraiosis=0.0) for stroke in strokes]


def test_emboli_and_leukoaraiosis_reach_the_patient() -> None:
    plain, ill = (
        make_patient(1, PhantomConfig(size=64, slices=4, frames=20, emboli=strength, leukoaraiosis=strength))
        for strength in (0.0, 3.0)
    )
    assert ill.stroke == replace(plain.stroke, emboli=ill.stroke.emboli, leukoaraiosis=ill.stroke.leukoaraiosis)
    assert len(ill.stroke.emboli) >= 3
    embolic = make_patient(1, PhantomConfig(size=64, slices=4, frames=20, emboli=3.0))
    assert embolic.truth["core"].sum() > plain.truth["core"].sum()
    assert ill.truth["old"].sum() > plain.truth["old"].sum()
