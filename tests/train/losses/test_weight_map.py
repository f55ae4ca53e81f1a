import numpy as np
import pytest

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


def test_empty_slice_weighs_half_everywhere() -> None:
    lesion = np.zeros((2, 8, 8), dtype=bool)
    lesion[1, 0, 0] = True
    weight = weight_map(lesion, lesion_weight=1.5, decay=50.0)
    assert (weight[0] == 0.5).all()
    assert weight[1, 0, 1] == pytest.approx(0.995, abs=5e-4)
