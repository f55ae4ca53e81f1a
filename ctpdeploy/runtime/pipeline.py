"""The whole way of one case: preprocess, networks, postprocess."""

import time
from pathlib import Path
from typing import Self

from ctpdeploy.runtime.backends.engine import CaseEngine, Engine
from ctpdeploy.runtime.backends.reference_path import run_reference_path
from ctpdeploy.runtime.backends.registry import AUTO, open_engine
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.prediction import Prediction
from ctpdeploy.runtime.preprocess.postprocess import components_of
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.quality.plausibility import implausible

__all__ = ["Pipeline"]


class Pipeline:
    """Predicts lesions, one case after the other; built once, used for as many cases as there are, then closed.

    Args:
        engine: runs the networks; a :class:`CaseEngine` also what comes before and after them.
        config: the preprocessing constants that the networks were trained with.
    """

    def __init__(self, engine: Engine, config: PreprocessConfig) -> None:
        self.engine = engine
        self.config = config

    @classmethod
    def open(cls, bundle: Path, backend: str = AUTO, key: Path | None = None) -> "Pipeline":
        """Open a bundle on a backend.

        Args:
            bundle: folder or zip.
            backend: name of the backend.
            key: public key of who has to have signed the bundle.

        Raises:
            InputError: it is no bundle, a damaged one, or one that the key's owner did not sign.
            UsageError, BackendError: as :func:`ctpdeploy.runtime.backends.registry.open_engine`.
        """
        with Bundle.open(bundle, key) as opened:
            return cls(open_engine(opened, backend), opened.preprocess)

    def close(self) -> None:
        """Close the engine; nothing is predicted any more."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(self, case: Case) -> Prediction:
        """Find the lesion of a case.

        Raises:
            GuardError: the networks returned NaN or infinity.
            InputError, BackendError: as the engine.
        """
        if isinstance(self.engine, CaseEngine):
            found = self.engine.run_case(case, self.config)
        else:
            found = run_reference_path(self.engine, case, self.config)
        start = time.perf_counter()
        components, doubts = components_of(found.mask, case), implausible(case)
        looking = time.perf_counter() - start
        return Prediction(
            mask=found.mask,
            probability=found.probability,
            pseudo_dwi=found.pseudo_dwi,
            components=components,
            volume_ml=float(found.mask.sum() * case.geometry.voxel_ml),
            window=found.window,
            engine=found.engine,
            seconds={**found.seconds, "postprocess": found.seconds["postprocess"] + looking},
            warnings=(*case.warnings, *found.window.warnings, *doubts, *found.warnings),
        )
