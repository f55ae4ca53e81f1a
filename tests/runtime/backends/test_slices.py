"""Engines that take a slice at a time: equal to ONNX Runtime on a small trained bundle, in every batch, or an error."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctpdeploy.errors import BackendError, ExitCode, InputError
from ctpdeploy.runtime import Bundle, Case
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.preprocess.preprocess import preprocess

IMAGES = ("extractor", "pseudo_dwi", "probability")

TOLERANCE = 2e-5
"""Of the largest difference from ONNX Runtime, in units of the output's spread. Two direct sums differ by 5e-6 here."""


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Iterator[Bundle]:
    with Bundle.open(bundle_folder) as opened:
        yield opened


@pytest.fixture(scope="module", params=["ort-cpu", "openvino", "ncnn", "native"])
def engine(bundle: Bundle, request: pytest.FixtureRequest) -> Iterator[Engine]:
    if (reason := BACKENDS[request.param].unavailable_because()) is not None:
        pytest.skip(reason)
    with open_engine(bundle, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def slices(phantom_case: Case, bundle: Bundle) -> SliceBatch:
    """Two slices of a patient, and the same two turned around, which are other slices to a network."""
    batch = preprocess(phantom_case, bundle.preprocess)[0]
    both = {name: np.concatenate([value, value[..., ::-1]]) for name, value in named(batch).items()}
    return replace(batch, **both)


def named(batch: SliceBatch) -> dict[str, np.ndarray]:
    return {"frames": batch.frames, "features": batch.features}


def pick(batch: SliceBatch, which: Any) -> SliceBatch:
    return replace(batch, **{name: value[which] for name, value in named(batch).items()})


def with_air(batch: SliceBatch, *where: int) -> SliceBatch:
    changed = {name: value.copy() for name, value in named(batch).items()}
    for value in changed.values():
        value[list(where)] = 0
    return replace(batch, **changed)


def test_what_onnx_runtime_answers(engine: Any, bundle: Bundle, slices: SliceBatch):
    found, expected = engine.run(slices), ort_cpu.open_engine(bundle).run(slices)
    for name in IMAGES:
        a, b = getattr(found, name), getattr(expected, name)
        assert a.shape == b.shape
        assert a.dtype == np.float32
        assert np.abs(a - b).max() <= TOLERANCE * np.ptp(b), name


def test_other_slices_are_further_away_than_the_tolerance(engine: Any, slices: SliceBatch):
    found = engine.run(slices)
    for name in IMAGES:
        value = getattr(found, name)
        assert np.abs(value - value[::-1]).max() > 100 * TOLERANCE * np.ptp(value), name


def test_a_slice_is_answered_alike_in_every_batch(engine: Any, slices: SliceBatch):
    together = engine.run(slices)
    for i in (3, 0, 2):
        alone = engine.run(pick(slices, slice(i, i + 1)))
        for name in IMAGES:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[i])


def test_the_caller_owns_what_is_returned(engine: Any, slices: SliceBatch):
    batch = with_air(pick(slices, slice(0, 2)), 0, 1)
    before = {name: value.copy() for name, value in named(batch).items()}
    first, again = engine.run(batch), engine.run(batch)
    first.probability[0] = 2
    assert not np.any(first.probability[1] == 2)
    assert not np.any(again.probability == 2)
    for name, value in named(batch).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("air", [(), (1,), (0, 2), (0, 1, 2, 3)])
def test_air_is_answered_once(engine: Any, slices: SliceBatch, monkeypatch: pytest.MonkeyPatch, air: tuple[int, ...]):
    batch = with_air(slices, *air)
    expected = [engine.run(pick(batch, slice(i, i + 1))).probability[0] for i in range(4)]
    runs = []
    run = engine._engine._network.run
    monkeypatch.setattr(engine._engine._network, "run", lambda inputs: runs.append(1) or run(inputs))
    np.testing.assert_array_equal(engine.run(batch).probability, expected)
    assert len(runs) == 4 - max(0, len(air) - 1)


def test_air_in_one_input_alone_is_a_slice_like_any_other(engine: Any, slices: SliceBatch):
    frames = slices.frames.copy()
    frames[:2] = 0
    found = engine.run(replace(slices, frames=frames)).probability
    assert not np.array_equal(found[0], found[1])


def test_inputs_in_another_order_of_memory(engine: Any, slices: SliceBatch):
    turned = {name: np.asfortranarray(value) for name, value in named(slices).items()}
    np.testing.assert_array_equal(engine.run(replace(slices, **turned)).probability, engine.run(slices).probability)


WRONG = {
    "channels": (lambda frames: frames[:, :5], r"takes frames of shape \(6, 64, 64\), not \(5, 64, 64\)"),
    "rows": (lambda frames: frames[:, :, :32], r"takes frames of shape \(6, 64, 64\), not \(6, 32, 64\)"),
    "columns": (lambda frames: frames[..., :32], r"takes frames of shape \(6, 64, 64\), not \(6, 64, 32\)"),
    "axes": (lambda frames: frames[0], r"takes frames of shape \(6, 64, 64\), not \(64, 64\)"),
    "float64": (lambda frames: frames.astype(np.float64), "takes frames in float32, not float64"),
    "fewer slices": (lambda frames: frames[:3], r"as many slices of each input, one or more, not \[3, 4\]"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_slices_of_another_shape_or_type_are_refused(engine: Engine, slices: SliceBatch, wrong: str):
    change, message = WRONG[wrong]
    with pytest.raises(InputError, match=message):
        engine.run(replace(slices, frames=change(slices.frames)))
    assert np.isfinite(engine.run(slices).probability).all()


def test_no_slices_are_refused(engine: Engine, slices: SliceBatch):
    with pytest.raises(InputError, match=r"one or more, not \[0\]"):
        engine.run(pick(slices, slice(0)))


CALLS = {
    "ort-cpu": "onnxruntime.InferenceSession.run",
    "openvino": "openvino.CompiledModel.__call__",
    "ncnn": "ncnn.Net.create_extractor",
    "native": "ctpdeploy.runtime.backends.native.kernels.Kernels.image",
}
"""What a run calls of each package."""


def test_a_package_that_fails_is_an_error_in_a_sentence(
    engine: Engine, slices: SliceBatch, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("bad\n   allocation")

    backend, expected = engine.info.backend, engine.run(slices).probability
    with monkeypatch.context() as patch:
        patch.setattr(CALLS[backend], fail)
        with pytest.raises(BackendError) as caught:
            engine.run(slices)
    assert str(caught.value) == (
        f"The backend {backend} fails to run the networks (RuntimeError: bad allocation): "
        "free memory, or take another backend."
    )
    assert caught.value.exit_code == ExitCode.BACKEND
    np.testing.assert_array_equal(engine.run(slices).probability, expected)
