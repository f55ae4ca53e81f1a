"""The whole way of one case: preprocess, networks, postprocess."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Self

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.backends.engine import Engine
from ctpdeploy.runtime.backends.reference_path import run_case
from ctpdeploy.runtime.backends.registry import AUTO, choose, open_engine
from ctpdeploy.runtime.bundle.bundle import Bundle
from ctpdeploy.runtime.bundle.trust import Signer
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.finding import by_severity
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.data.origin import fingerprint
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.data.prediction import Prediction, Provenance
from ctpdeploy.runtime.gate.preprocessing import require_preprocessing
from ctpdeploy.runtime.preprocess.field import inspect_field
from ctpdeploy.runtime.preprocess.postprocess import components_of
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.runtime.quality.lesion import inspect_lesion
from ctpdeploy.runtime.quality.plausibility import implausible

__all__ = ["Pipeline"]

_log = logging.getLogger(__package__)


class Pipeline:
    """Predicts lesions, one case after the other; built once, used for as many cases as there are, then closed.

    Args:
        engine: runs the networks; a :class:`CaseEngine` also what comes before and after them.
        config: the preprocessing constants that the networks were trained with.
        provenance: of the networks, for the report; None where they come from no bundle.
        perfusion: how maps are to be computed where a case has none; defaults to ``PerfusionConfig()``.
        card: of the networks, for findings and the report.
    """

    def __init__(
        self,
        engine: Engine,
        config: PreprocessConfig,
        provenance: Provenance | None = None,
        perfusion: PerfusionConfig | None = None,
        card: ModelCard | None = None,
    ) -> None:
        self.engine = engine
        self.config = config
        self.provenance = provenance
        self.perfusion = perfusion or PerfusionConfig()
        self.card = card

    @classmethod
    def open(cls, bundle: Path | str, backend: str = AUTO, signer: Signer = None) -> "Pipeline":
        """Open a bundle on a backend.

        Args:
            bundle: folder or zip.
            backend: name of the backend.
            signer: who has to have signed the bundle, as for :meth:`Bundle.open`: by default one of those that this
                workstation trusts, if it trusts any.

        Raises:
            InputError: it is no bundle, a damaged one, or one that nobody asked for has signed.
            UsageError, MissingPackageError: as :meth:`Bundle.open`.
            GateError: by its constants, or here, a case becomes other network inputs than those it was proven with.
            UsageError, BackendError: as :func:`ctpdeploy.runtime.backends.registry.open_engine`.
        """
        with Bundle.open(bundle, signer) as opened:
            choice = choose(opened, backend)
            require_preprocessing(opened)
            provenance = Provenance(
                bundle={
                    "name": Path(bundle).resolve().name,
                    "sha256": opened.sha256,
                    "signature": opened.signature,
                    "signed_by": opened.signed_by.fingerprint if opened.signed_by else None,
                },
                backend_requested=backend,
                backend_because=choice.because,
            )
            engine = open_engine(opened, choice.backend)
            pipeline = cls(engine, opened.preprocess, provenance, opened.perfusion, opened.card)
            signed_by = opened.signed_by
            _log.info(
                "bundle %s, signature %s, opened on %s: %s",
                opened.sha256[:12],
                f"of {signed_by.fingerprint[:12]}" if signed_by else opened.signature,
                engine.info.backend,
                choice.because,
            )
        return pipeline

    def close(self) -> None:
        """Close the engine; nothing is predicted any more."""
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def predict(self, case: Case) -> Prediction:
        """Find the lesion of a case.

        Args:
            case: of any grid; it is resampled to that of the networks, and what they find back to its own.

        Returns:
            Mask, probability and pseudo-DWI ``(D, H, W)`` in the voxels of the case, with the findings.

        Raises:
            GuardError: the networks returned NaN or infinity.
            InputError: the maps were computed with other settings than ``perfusion``; or as the engine.
            BackendError: as the engine.
        """
        if case.perfusion is not None and case.perfusion.stated() != self.perfusion.stated():
            raise InputError(
                f"The maps of {case.identifier} were computed with other settings than these networks' own: hand those "
                "to whatever reads the case, as in read_case(folder, pipeline.perfusion)."
            )
        outputs = run_case(self.engine, case, self.config)
        start = time.perf_counter()
        components = components_of(outputs.mask, case)
        doubts = (*implausible(case), *inspect_field(case, self.config), *inspect_lesion(outputs.mask, case))
        looking = time.perf_counter() - start
        seconds = {**outputs.seconds, "postprocess": outputs.seconds["postprocess"] + looking}
        known = () if self.card is None else self.card.findings(fingerprint(case.series))
        return Prediction(
            outputs=replace(outputs, seconds=seconds),
            components=components,
            volume_ml=case.geometry.volume_ml(outputs.mask),
            findings=by_severity((*case.findings, *outputs.window.findings, *doubts, *outputs.findings, *known)),
            provenance=self.provenance,
            threshold=self.config.threshold,
            card=self.card,
        )
