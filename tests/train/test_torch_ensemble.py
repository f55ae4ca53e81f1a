"""The mean of engines, and of runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime import read_case
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.io.cases import find_cases
from ctpdeploy.train import TrainConfig, open_run, train
from ctpdeploy.train.dataset import read_labelled
from ctpdeploy.train.run_folder import RunFolder
from ctpdeploy.train.torch_engine import TorchEngine
from ctpdeploy.train.torch_ensemble import TorchEnsemble, open_ensemble


class Constant(TorchEngine):
    """An engine that is sure of its answer."""

    def __init__(self, probability: float) -> None:
        self.probability, self.closed = probability, False

    def run(self, batch: SliceBatch) -> SliceOutputs:
        shape = batch.frames[:, 0].shape
        return SliceOutputs(
            probability=np.full(shape, self.probability, np.float32), pseudo_dwi=np.zeros((shape[0], 1, *shape[1:]))
        )

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def runs(data: Path, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of other networks, briefly trained on the same cases."""
    out = tmp_path_factory.mktemp("runs")
    for system in ("unet", "liu"):
        train(data, out / system, replace(config, system=system, epochs=1))
    return [out / "unet", out / "liu"]


def test_the_probability_is_the_mean_of_the_members() -> None:
    batch = SliceBatch(frames=np.zeros((3, 6, 32, 16), np.float32), features=np.zeros((3, 5, 32, 16), np.float32))
    members = [Constant(probability) for probability in (0.1, 0.2, 0.9)]
    with TorchEnsemble(members) as ensemble:
        outputs = ensemble.run(batch)
        assert not any(member.closed for member in members)
    np.testing.assert_allclose(outputs.probability, 0.4, rtol=1e-6)
    assert (outputs.probability.shape, outputs.probability.dtype) == ((3, 32, 16), np.float32)
    assert outputs.pseudo_dwi is None
    assert all(member.closed for member in members)


def test_runs_are_averaged_and_calibrated_together(data: Path, config: TrainConfig, runs: list[Path]) -> None:
    names = RunFolder(runs[0]).split().validation
    validation = [case for case in find_cases(data) if case.name in names]
    pipeline, found = open_ensemble(runs, validation)
    inputs = read_labelled(validation[0], config).inputs
    apart = [open_run(run).engine.run(inputs).probability for run in runs]
    assert not np.allclose(apart[0], apart[1])
    np.testing.assert_allclose(pipeline.engine.run(inputs).probability, (apart[0] + apart[1]) / 2, rtol=1e-6)
    assert (found.cases, pipeline.config.threshold) == (1, found.threshold)
    card = pipeline.card
    assert card is not None
    assert (card.validation_dice, card.threshold_from) == (found.dice, 1)
    alone = open_run(runs[0])
    assert alone.card is not None
    assert card.fingerprints == alone.card.fingerprints, "cases that were trained on are known"
    assert pipeline.predict(read_case(data / "case_1")).probability.shape == (2, 32, 32)
    assert pipeline.engine.info == alone.engine.info
    pipeline.close()
    with pytest.raises(BackendError, match="closed"):
        pipeline.engine.run(inputs)


def test_the_threshold_is_that_of_the_mean(data: Path, runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each member alone draws its lesion above another probability."""
    cases = find_cases(data)
    lesions = {run: iter([read_labelled(case, RunFolder(run).config()).lesion for case in cases]) for run in runs}
    heights = dict(zip(runs, (0.58, 0.28), strict=True))

    class Sure(Constant):
        def __init__(self, run: Path) -> None:
            self.of = run

        def run(self, _: SliceBatch) -> SliceOutputs:
            drawn = np.where(next(lesions[self.of]), heights[self.of], 0.18)
            return SliceOutputs(probability=drawn.astype(np.float32))

    def opened(run: Path, device: str | None) -> object:
        pipeline = open_run(run, device=device)
        pipeline.engine = Sure(run)
        return pipeline

    monkeypatch.setattr("ctpdeploy.train.torch_ensemble.open_run", opened)
    pipeline, found = open_ensemble(runs, cases)
    assert found.dice == 1.0
    assert found.plateau == (0.2, 0.4), "the mean is 0.43 in the lesion"
    assert pipeline.config.threshold == 0.4
