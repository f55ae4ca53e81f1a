"""Runs as one engine: the mean of their probabilities, and the threshold above which that draws lesion."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.io.case_ref import CaseRef
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.train.cache import CaseCache
from ctpdeploy.train.calibration import Calibration, calibrate
from ctpdeploy.train.dataset import read_labelled
from ctpdeploy.train.run_folder import RunFolder, open_run

__all__ = ["TorchEnsemble", "open_ensemble"]


class TorchEnsemble(Engine):
    """Averages other engines; fulfils :class:`ctpdeploy.runtime.backends.engine.Engine`.

    Args:
        engines: one or more, which are closed with it.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = tuple(engines)

    @property
    def info(self) -> EngineInfo:
        """What runs the first of them."""
        return self._engines[0].info

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """The mean probability; no image that a member may have synthesised.

        Raises:
            InputError, BackendError: as the engines.
        """
        return SliceOutputs(probability=np.mean([engine.run(batch).probability for engine in self._engines], axis=0))

    def close(self) -> None:
        """Close them."""
        for engine in self._engines:
            engine.close()


def open_ensemble(
    runs: Sequence[Path], validation: Sequence[CaseRef], *, device: str | None = None, cache: CaseCache | None = None
) -> tuple[Pipeline, Calibration]:
    """A pipeline that averages the best checkpoints of runs, and how its threshold was found.

    Args:
        runs: folders of finished runs that differ in system and seed alone.
        validation: the cases that all of them were validated on, which say the threshold.
        device: where to compute, as for :func:`ctpdeploy.train.open_run`.
        cache: of preprocessed cases.

    Raises:
        InputError: a run or a case cannot be read.
        UsageError: the configuration of a run is none of this version.
    """
    members = [open_run(run, device=device) for run in runs]
    first, config = members[0], RunFolder(runs[0]).config()
    engine = TorchEnsemble([member.engine for member in members])
    found = calibrate(engine, [read_labelled(case, config, cache) for case in validation])
    card = first.card and replace(first.card, validation_dice=found.dice, threshold_from=found.cases)
    constants = replace(first.config, threshold=found.threshold)
    return Pipeline(engine, constants, perfusion=first.perfusion, card=card), found
