import numpy as np
import pytest
import torch

from ctpdeploy.errors import BackendError
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.train import TorchEngine, TrainConfig
from ctpdeploy.train.learner import make_chain


def batch(slices: int) -> SliceBatch:
    rng = np.random.default_rng(0)
    frames, features = (rng.random((slices, channels, 32, 32), dtype=np.float32) for channels in (6, 5))
    return SliceBatch(frames=frames, features=features)


@pytest.fixture(scope="module")
def engine() -> Engine:
    torch.manual_seed(0)
    return TorchEngine(make_chain(SYSTEMS["dwi_olh"], TrainConfig(width=4)))


@pytest.mark.parametrize("slices", [1, 4, 7])
def test_shapes_and_types(engine: Engine, slices: int) -> None:
    outputs = engine.run(batch(slices))
    assert outputs.extractor.shape == outputs.pseudo_dwi.shape == (slices, 1, 32, 32)
    assert outputs.probability.shape == (slices, 32, 32)
    assert outputs.probability.dtype == np.float32
    assert ((outputs.probability >= 0) & (outputs.probability <= 1)).all()


def test_slice_gives_the_same_in_every_batch(engine: Engine) -> None:
    whole = batch(7)
    together = engine.run(whole).probability
    for i in range(7):
        alone = SliceBatch(frames=whole.frames[i : i + 1], features=whole.features[i : i + 1])
        np.testing.assert_allclose(engine.run(alone).probability[0], together[i], atol=1e-5)


def test_outputs_belong_to_the_caller(engine: Engine) -> None:
    first = engine.run(batch(2))
    kept = first.pseudo_dwi.copy()
    first.pseudo_dwi[:] = 0
    assert np.array_equal(engine.run(batch(2)).pseudo_dwi, kept)


def test_info_says_what_runs(engine: Engine) -> None:
    assert (engine.info.backend, engine.info.precision) == ("torch", "fp32")
    assert engine.info.versions["torch"] == torch.__version__


def test_a_closed_engine_says_so(engine: Engine) -> None:
    with TorchEngine(engine._chain) as another:
        info = another.info
    another.close()
    assert another.info == info
    with pytest.raises(BackendError, match="The engine of torch is closed"):
        another.run(batch(1))
    assert engine.run(batch(1)).probability.any()
