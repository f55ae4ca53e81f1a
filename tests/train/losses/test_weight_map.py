import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ctpdeploy.train.losses import weight_map


def reference(mask: np.ndarray, w: float, d: float) -> np.ndarray:
    """Equation 9, pixel by pixel."""
    rows, columns = np.nonzero(mask)
    out = np.empty(mask.shape)
    for (r, c), inside in np.ndenumerate(mask):
        near = np.exp(-np.sqrt(((rows - r) ** 2 + (columns - c) ** 2).min()) / d)
        out[r, c] = w if inside else 0.5 + near / (near + 1)
    return out


def test_agrees_with_equation_9() -> None:
    lesion = np.zeros((2, 20, 17), dtype=bool)
    lesion[0, 3:6, 4:9] = True
    lesion[1, 19, 0] = True
    lesion[1, 2, 16] = True
    weight = weight_map(lesion, lesion_weight=1.5, decay=50.0)
    assert weight.dtype == np.float32
    for ours, mask in zip(weight, lesion, strict=True):
        np.testing.assert_allclose(ours, reference(mask, 1.5, 50.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("distance", "expected"), [(0, 1.5), (1, 0.995), (25, 0.877), (50, 0.769), (100, 0.619), (200, 0.518)]
)
def test_weights_of_the_source(distance: int, expected: float) -> None:
    lesion = np.zeros((1, 4, 256), dtype=bool)
    lesion[0, 2, 7] = True
    weight = weight_map(lesion, lesion_weight=1.5, decay=50.0)
    assert weight[0, 2, 7 + distance] == pytest.approx(expected, abs=1e-3)


def test_empty_slice_weighs_half_everywhere() -> None:
    lesion = np.zeros((2, 8, 8), dtype=bool)
    lesion[1, 0, 0] = True
    weight = weight_map(lesion, lesion_weight=1.5, decay=50.0)
    assert (weight[0] == 0.5).all()
    assert (weight[1] > 0.5).all()


@given(lesion=arrays(np.bool_, (2, 6, 5)), decay=st.floats(1, 100))
def test_weights_fall_with_distance_and_turn_with_the_slice(lesion: np.ndarray, decay: float) -> None:
    weight = weight_map(lesion, lesion_weight=1.5, decay=decay)
    assert (weight[lesion] == 1.5).all()
    assert (weight[~lesion] >= 0.5).all()
    assert (weight[~lesion] < 1).all()
    turned = weight_map(np.rot90(lesion, axes=(1, 2)), lesion_weight=1.5, decay=decay)
    np.testing.assert_allclose(turned, np.rot90(weight, axes=(1, 2)), rtol=1e-6)
    wider = weight_map(lesion, lesion_weight=1.5, decay=2 * decay)
    assert (wider >= weight).all()
