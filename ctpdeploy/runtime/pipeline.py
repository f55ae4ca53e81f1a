"""The whole way of one case: preprocess, networks, postprocess."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctpdeploy.runtime.backends import AUTO, open_engine
from ctpdeploy.runtime.bundle import Bundle
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.engine import Engine
from ctpdeploy.runtime.plausibility import implausible
from ctpdeploy.runtime.postprocess import Prediction, components_of, postprocess
from ctpdeploy.runtime.preprocess import PreprocessConfig, preprocess

__all__ = ["Pipeline"]


class Pipeline:
    """Predicts lesions, one case after the other; built once, used for as many cases as there are.

    Args:
        engine: runs the networks.
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
            UsageError, BackendError: as :func:`ctpdeploy.runtime.backends.open_engine`.
        """
        with Bundle.open(bundle, key) as opened:
            return cls(open_engine(opened, backend), opened.preprocess)

    def predict(self, case: Case) -> Prediction:
        """Find the lesion of a case.

        Raises:
            GuardError: the networks returned NaN or infinity.
        """
        seconds: dict[str, float] = {}
        with _stage(seconds, "preprocess"):
            batch = preprocess(case, self.config)
        with _stage(seconds, "networks"):
            outputs = self.engine.run(batch)
        with _stage(seconds, "postprocess"):
            mask, probability, pseudo_dwi = postprocess(outputs, case, self.config)
            components = components_of(mask, case)
        return Prediction(
            mask=mask,
            probability=probability,
            pseudo_dwi=pseudo_dwi,
            components=components,
            volume_ml=float(mask.sum() * case.geometry.voxel_ml),
            window=batch.window,
            engine=self.engine.info,
            seconds=seconds,
            warnings=(*case.warnings, *batch.window.warnings, *implausible(case)),
        )


@contextmanager
def _stage(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
