"""SSIM and PSNR of the pseudo-DWI: known answers, the formula of SSIM as a slow twin, and what is undefined."""

import math
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from ctpdeploy.errors import MissingPackageError
from ctpdeploy.runtime.metrics.image_quality import ImageQuality, image_quality

SHAPE = (3, 40, 48)


@pytest.fixture
def real() -> np.ndarray:
    """Smooth blobs between 0 and 1."""
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    slices = [0.5 + 0.5 * np.sin(rows / (4 + i)) * np.cos(columns / 5) for i in range(SHAPE[0])]
    return np.stack(slices).astype(np.float32)


@pytest.fixture
def image(real: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, 0.1, SHAPE)
    return np.clip(real + noise, 0.0, 1.0).astype(np.float32)


@pytest.fixture
def lesion() -> np.ndarray:
    """In slices 0 and 2, that of slice 2 near a corner."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, 18:21, 20:26] = True
    mask[2, 3:5, 44:48] = mask[2, 8, 40] = True
    return mask


BOXES = {0: (slice(8, 31), slice(10, 36)), 2: (slice(0, 19), slice(30, 48))}
"""Those lesions with 10 pixels around them, cut at the border."""


def ssim_by_formula(image: np.ndarray, real: np.ndarray) -> np.ndarray:
    """SSIM (Wang et al. 2004, equations 13 to 16) at each position of an 11 x 11 window within a slice."""
    offset = np.arange(-5, 6)
    weight = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    weight /= weight.sum()
    views = [np.lib.stride_tricks.sliding_window_view(a.astype(float), (11, 11)) for a in (image, real)]
    mean_a, mean_b = ((view * weight).sum(axis=(2, 3)) for view in views)
    a, b = (view - mean[..., None, None] for view, mean in zip(views, (mean_a, mean_b), strict=True))
    var_a, var_b, both = ((product * weight).sum(axis=(2, 3)) for product in (a * a, b * b, a * b))
    c1, c2 = 0.01**2, 0.03**2
    return (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))


def test_global_ssim_is_the_formula_averaged_over_slices(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    expected = np.mean([ssim_by_formula(a, b).mean() for a, b in zip(image, real, strict=True)])
    assert 0.2 < expected < 0.95
    assert image_quality(image, real, lesion).global_ssim == pytest.approx(expected, rel=1e-9)


def test_local_ssim_is_the_map_of_the_slice_in_the_box(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    lesion[2] = False
    rows, columns = BOXES[0]  # of the formula's map, whose first position is row and column 5
    inside = ssim_by_formula(image[0], real[0])[rows.start - 5 : rows.stop - 5, columns.start - 5 : columns.stop - 5]
    assert image_quality(image, real, lesion).local_ssim == pytest.approx(inside.mean(), rel=1e-9)


def test_psnr_by_hand(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    errors = (image.astype(float) - real) ** 2
    found = image_quality(image, real, lesion)
    assert found.global_psnr == pytest.approx(np.mean([-10 * np.log10(e.mean()) for e in errors]))
    local = [-10 * np.log10(errors[i][box].mean()) for i, box in BOXES.items()]
    assert found.local_psnr == pytest.approx(np.mean(local))


def test_an_error_of_a_tenth_is_twenty_decibel(lesion: np.ndarray):
    found = image_quality(np.full(SHAPE, 0.6), np.full(SHAPE, 0.5), lesion)
    assert found.global_psnr == pytest.approx(20.0)
    assert found.local_psnr == pytest.approx(20.0)
    luminance = (2 * 0.6 * 0.5 + 1e-4) / (0.6**2 + 0.5**2 + 1e-4)  # of constants nothing else is left of SSIM
    assert found.global_ssim == pytest.approx(luminance)
    assert found.local_ssim == pytest.approx(luminance)


def test_what_happens_away_from_the_lesion_is_not_local(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    before = image_quality(image, real, lesion)
    image[1] = 0.0  # no lesion in this slice
    image[0, 36:] = image[0, :3] = image[0, :, 41:] = 0.0  # further than the box and half a window of SSIM
    after = image_quality(image, real, lesion)
    assert (after.local_psnr, after.local_ssim) == pytest.approx((before.local_psnr, before.local_ssim), rel=1e-9)
    assert after.global_psnr < before.global_psnr


@pytest.mark.parametrize(
    ("pixel", "box"),
    [
        ((0, 0), (slice(0, 11), slice(0, 11))),
        ((39, 47), (slice(29, 40), slice(37, 48))),
        ((20, 24), (slice(10, 31), slice(14, 35))),
    ],
)
def test_the_box_ends_at_the_border(
    image: np.ndarray, real: np.ndarray, pixel: tuple[int, int], box: tuple[slice, slice]
):
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[1][pixel] = True
    error = (image[1].astype(float) - real[1])[box]
    assert image_quality(image, real, lesion).local_psnr == pytest.approx(-10 * np.log10((error**2).mean()))


def test_slices_that_do_not_differ_have_no_finite_psnr(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    image[0] = real[0]
    found = image_quality(image, real, lesion)
    others = [-10 * np.log10(((image[i].astype(float) - real[i]) ** 2).mean()) for i in (1, 2)]
    assert found.global_psnr == pytest.approx(np.mean(others))
    equal = image_quality(real, real, lesion)
    assert math.isnan(equal.global_psnr)
    assert math.isnan(equal.local_psnr)
    assert_allclose((equal.global_ssim, equal.local_ssim), 1.0)


def test_nan_in_an_image_is_not_averaged_away(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    image[1, 20, 20] = np.nan
    found = image_quality(image, real, lesion)
    assert math.isnan(found.global_psnr)
    assert math.isnan(found.global_ssim)


def test_without_a_lesion_nothing_is_local(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    found = image_quality(image, real, np.zeros_like(lesion))
    assert math.isnan(found.local_ssim)
    assert math.isnan(found.local_psnr)
    assert found.global_ssim == image_quality(image, real, lesion).global_ssim


def test_a_slice_smaller_than_the_window_has_no_ssim(image: np.ndarray, real: np.ndarray, lesion: np.ndarray):
    small = (slice(None), slice(0, 10))
    found = image_quality(image[small], real[small], lesion[small])
    assert math.isnan(found.global_ssim)
    assert math.isnan(found.local_ssim)
    assert math.isfinite(found.global_psnr)


def test_without_scikit_image(image: np.ndarray, real: np.ndarray, lesion: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    whole = image_quality(image, real, lesion)
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.delitem(sys.modules, "skimage.metrics")
    with pytest.raises(MissingPackageError, match=r"install ctpdeploy with its extra evaluate"):
        image_quality(image, real, lesion)
    found = image_quality(image, real, lesion, ssim=False)
    assert found.global_psnr == whole.global_psnr
    assert found.local_psnr == whole.local_psnr
    assert math.isnan(found.global_ssim)
    assert math.isnan(found.local_ssim)


@pytest.fixture
def brain() -> np.ndarray:
    """A disk in each slice but the last."""
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    mask = np.zeros(SHAPE, dtype=bool)
    mask[:2] = (rows - 20) ** 2 + (columns - 24) ** 2 < 15**2
    return mask


def test_the_brain_by_the_formulas(image: np.ndarray, real: np.ndarray, lesion: np.ndarray, brain: np.ndarray):
    found = image_quality(image, real, lesion, brain)
    flat = np.full(SHAPE, real[brain].mean(dtype=float))
    inner = np.s_[:, 5:-5, 5:-5]  # where the formula has a window; the brain lies within
    assert not brain.sum() - brain[inner].sum()
    for shown, ssim, psnr in ((image, found.brain_ssim, found.brain_psnr), (flat, found.flat_ssim, found.flat_psnr)):
        pairs = zip(shown * brain, real * brain, strict=True)
        expected = np.stack([ssim_by_formula(a, b) for a, b in pairs])[brain[inner]].mean()
        assert ssim == pytest.approx(expected, rel=1e-6)
        error = (shown[brain].astype(float) - real[brain]) ** 2
        assert psnr == pytest.approx(-10 * np.log10(error.mean()), rel=1e-6)
    assert found.brain_psnr > found.flat_psnr


def test_what_is_outside_the_brain_is_not_of_the_brain(
    image: np.ndarray, real: np.ndarray, lesion: np.ndarray, brain: np.ndarray
):
    before = image_quality(image, real, lesion, brain)
    image[~brain], real[~brain] = 0.3, 0.9
    after = image_quality(image, real, lesion, brain)
    for name in ("brain_ssim", "brain_psnr", "flat_ssim", "flat_psnr"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-9)
    assert after.global_psnr != before.global_psnr


def test_a_brain_that_is_right_empty_or_not_given(
    image: np.ndarray, real: np.ndarray, lesion: np.ndarray, brain: np.ndarray
):
    right = image_quality(np.where(brain, real, image), real, lesion, brain)
    assert right.brain_ssim == pytest.approx(1.0)
    assert math.isnan(right.brain_psnr)
    assert right.flat_ssim < 1
    for found in (image_quality(image, real, lesion), image_quality(image, real, lesion, np.zeros_like(brain))):
        assert all(math.isnan(value) for name, value in vars(found).items() if name.startswith(("brain", "flat")))
        assert math.isfinite(found.global_psnr)
    without = image_quality(image, real, lesion, brain, ssim=False)
    assert math.isnan(without.brain_ssim)
    assert math.isnan(without.flat_ssim)
    assert without.brain_psnr == image_quality(image, real, lesion, brain).brain_psnr


def test_nothing_measured_is_nan():
    assert all(math.isnan(value) for value in vars(ImageQuality()).values())
