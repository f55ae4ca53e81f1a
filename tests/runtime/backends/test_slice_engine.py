"""What a closed engine has given back, and what it answers."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.registry import BACKENDS, open_engine
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.gate import reference_of, slices_of

ENGINES = ["ort-cpu", "openvino", "ncnn", "native"]


linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted as Linux shows them")


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path) -> Iterator[Bundle]:
    with Bundle.open(bundle_folder) as opened:
        yield opened


def require(backend: str) -> None:
    if (reason := BACKENDS[backend].unavailable_because()) is not None:
        pytest.skip(reason)


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    require(request.param)
    return request.param


def test_a_closed_engine_says_so_and_can_be_closed_again(bundle: Bundle, name: str):
    batch = slices_of(reference_of(bundle))
    with open_engine(bundle, name) as engine:
        info, found = engine.info, engine.run(batch)
    assert engine.info == info
    for _ in range(2):
        with pytest.raises(BackendError, match=f"The engine of {name} is closed: open another one"):
            engine.run(batch)
        engine.close()
    with open_engine(bundle, name) as another:
        np.testing.assert_array_equal(another.run(batch).probability, found.probability)


def test_what_fails_in_a_block_closes_the_engine(bundle: Bundle, name: str):
    with pytest.raises(KeyError), open_engine(bundle, name) as engine:
        raise KeyError
    with pytest.raises(BackendError, match="is closed"):
        engine.run(slices_of(reference_of(bundle)))


def test_the_network_goes_when_the_engine_is_closed_and_not_with_it(bundle: Bundle, name: str):
    engine = open_engine(bundle, name)
    network = weakref.ref(engine._engine._network)
    gc.disable()
    try:
        engine.close()
        assert network() is None
    finally:
        gc.enable()


def test_a_slice_is_the_same_to_the_bit_in_every_batch(bundle: Bundle, name: str):
    noise = np.random.default_rng(1)
    found = reference_of(bundle)
    frames, features = (
        np.concatenate([array, noise.random((3, *array.shape[1:]), np.float32)])
        for array in (found.frames, found.features)
    )
    with open_engine(bundle, name) as engine:
        together = vars(engine.run(SliceBatch(frames=frames, features=features)))
        for slices in (slice(0, 1), slice(1, 3), slice(2, 6), slice(6, 7)):
            some = vars(engine.run(SliceBatch(frames=frames[slices], features=features[slices])))
            for output, array in some.items():
                np.testing.assert_array_equal(array, together[output][slices], err_msg=f"{output} of {slices}")


def test_a_slice_is_the_same_to_the_bit_in_a_batch_that_onnx_runtime_runs_at_once(bundle: Bundle):
    """As a server does that batches slices of several patients; the engine here takes one slice after the other."""
    session = ort_cpu.open_session(bundle.network_content(PIPELINE), bundle.source)
    noise, shapes = np.random.default_rng(2), bundle.networks[PIPELINE].inputs
    given = {name: noise.random((7, *map(int, shape[1:])), np.float32) for name, shape in shapes.items()}
    alone = [session.run(None, {name: array[i : i + 1] for name, array in given.items()}) for i in range(7)]
    for count in (2, 3, 4, 7):
        together = session.run(None, {name: array[:count] for name, array in given.items()})
        for place, output in enumerate(together):
            np.testing.assert_array_equal(output, np.concatenate([found[place] for found in alone[:count]]))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


@linux
@pytest.mark.parametrize("how", ["close", "forget"])
def test_threads_of_the_kernels_end(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, how: str):
    require("native")
    monkeypatch.setattr("ctpdeploy.runtime.backends.native.engine.usable_cores", lambda: 5)
    before = threads()
    engine = open_engine(bundle, "native")
    assert threads() == before + 4  # and the one that calls
    if how == "close":
        engine.close()
    else:
        del engine
    assert threads() == before


@linux
def test_a_network_that_is_refused_at_load_leaves_no_threads(bundle: Bundle, monkeypatch: pytest.MonkeyPatch):
    require("native")
    monkeypatch.setattr("ctpdeploy.runtime.backends.onnx_graph.self_test.LIMIT", -1e9)
    before = threads()
    with pytest.raises(BackendError, match="computes wrongly"):
        open_engine(bundle, "native")
    gc.collect()  # the error knew the network
    assert threads() == before
