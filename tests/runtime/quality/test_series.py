"""A series and what is done to it: each kind of damage has its finding, and a right one has none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ctpdeploy.phantom import Patient, PhantomConfig, make_patient
from ctpdeploy.phantom.variants import vary
from ctpdeploy.runtime.quality.blocks import Blocks
from ctpdeploy.runtime.quality.series import inspect_series

Damage = Callable[[np.ndarray], np.ndarray]


def codes(series: np.ndarray, spacing: tuple[float, float, float]) -> list[str]:
    return [found.code for found in inspect_series(Blocks.of(series, spacing))]


def with_frames(series: np.ndarray, frames: slice, value: float, *, rows: slice = slice(None)) -> np.ndarray:
    changed = series.copy()
    changed[frames, :, rows] = value
    return changed


def with_image(series: np.ndarray, place: tuple[int | slice, int], image: np.ndarray) -> np.ndarray:
    changed = series.copy()
    changed[place] = image
    return changed


def moved_from(series: np.ndarray, frame: int, pixels: int) -> np.ndarray:
    changed = series.copy()
    changed[frame:] = np.roll(series[frame:], pixels, axis=3)
    return changed


DAMAGES: dict[str, tuple[Damage, str]] = {
    "rescale intercept lost": (lambda hu: hu + 1024, "series-not-hu"),
    "slope of 0.1": (lambda hu: hu / 10, "series-not-hu"),
    "scaled to 0 to 1": (lambda hu: (hu - hu.min()) / np.ptp(hu), "series-not-hu"),
    "scaled to 0 to 255": (lambda hu: np.rint(255 * (hu - hu.min()) / np.ptp(hu)), "series-not-hu"),
    "a window of 80 HU as a picture": (lambda hu: np.clip(hu / 80 * 255, 0, 255), "series-not-hu"),
    "clipped to a window": (lambda hu: np.clip(hu, 0, 80), "series-clipped"),
    "clipped, as whole numbers": (lambda hu: np.clip(hu, -100, 300).astype(np.int16), "series-clipped"),
    "reversed": (lambda hu: hu[::-1], "series-reversed"),
    "begun at the peak": (lambda hu: hu[len(hu) // 2 :], "series-reversed"),
    "sorted as text": (lambda hu: hu[sorted(range(len(hu)), key=str)], "series-disordered"),
    "a blank frame": (lambda hu: with_frames(hu, slice(20, 21), 0.0), "frames-broken"),
    "three blank frames": (lambda hu: with_frames(hu, slice(20, 23), -1000.0), "frames-broken"),
    "the last frame saturated": (lambda hu: with_frames(hu, slice(-1, None), 3071.0), "frames-broken"),
    "half a frame": (lambda hu: with_frames(hu, slice(20, 21), 0.0, rows=slice(64, None)), "frames-broken"),
    "less than half of it": (lambda hu: with_frames(hu, slice(20, 21), 0.0, rows=slice(None, 60)), "frames-jump"),
    "blocks of frames exchanged": (
        lambda hu: hu[[*range(10), *range(15, 20), *range(10, 15), *range(20, len(hu))]],
        "series-uneven",
    ),
    "ended at half of it": (lambda hu: hu[: len(hu) // 2], "series-ends-early"),
    "one frame again": (lambda hu: hu[[*range(20), 19, *range(20, len(hu))]], "frames-identical"),
    "each frame twice": (lambda hu: hu.repeat(2, axis=0), "frames-identical"),
    "one image again": (lambda hu: with_image(hu, (8, 2), hu[7, 2]), "frames-identical"),
    "a slice without bone": (
        lambda hu: with_image(hu, (slice(None), 1), np.minimum(hu[:, 1], 35)),
        "slice-without-brain",
    ),
    "the top slice without bone": (
        lambda hu: with_image(hu, (slice(None), -1), np.minimum(hu[:, -1], 35)),
        "slice-without-brain",
    ),
    "a head 4 mm aside from half of it on": (lambda hu: moved_from(hu, len(hu) // 2, 2), "head-moved"),
    "a head 2 mm aside from a third of it on": (lambda hu: moved_from(hu, len(hu) // 3, 1), "head-moved"),
    "no contrast agent": (lambda hu: hu[:1].repeat(40, axis=0), "series-without-bolus"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(patient: Patient, name: str) -> None:
    damage, code = DAMAGES[name]
    assert code in codes(damage(patient.series), patient.spacing)


@pytest.mark.parametrize("variant", [None, "low-dose", "white-noise", "healthy", "box", "comorbid"])
@pytest.mark.parametrize("slices", [2, 8])
def test_right_series_have_no_finding(variant: str | None, slices: int) -> None:
    config = PhantomConfig(size=128, slices=slices)
    patient = make_patient(np.random.SeedSequence(81), vary(config, variant) if variant else config)
    assert codes(patient.series, patient.spacing) == []


def test_motion_may_be_doubted_and_is_not_refused() -> None:
    for number in range(6):
        patient = make_patient(np.random.SeedSequence((82, number)), PhantomConfig(size=128, slices=2, motion=1.0))
        assert set(codes(patient.series, patient.spacing)) <= {
            "frames-jump",
            "series-uneven",
            "head-moved",
            "series-ends-early",
        }


def test_a_sentence_names_slice_and_frame(patient: Patient) -> None:
    series = patient.series.copy()
    series[17, 2] = 0.0
    (found,) = inspect_series(Blocks.of(series, patient.spacing))
    assert "Slice 2 changes by" in found.sentence
    assert "frame 16 to frame 17" in found.sentence or "frame 17 to frame 18" in found.sentence


def test_one_block_of_a_sinus_at_the_vertex_is_no_jump(patient: Patient) -> None:
    seen = Blocks.of(with_frames(patient.series, slice(20, 21), 0.0), patient.spacing)
    one = np.zeros_like(seen.inside)
    one[3, *np.argwhere(seen.inside[3])[0]] = True
    assert not {"frames-broken", "frames-jump"} & {found.code for found in inspect_series(replace(seen, inside=one))}
