"""From a run folder to a sealed bundle."""

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ctpdeploy import __version__
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.errors import GuardError, InputError, UsageError
from ctpdeploy.export.gate import make_reference
from ctpdeploy.export.graph_builder import Workbench
from ctpdeploy.export.precision import Progress
from ctpdeploy.export.raw_case import make_raw_case
from ctpdeploy.export.verified_graphs import Approximation, prove
from ctpdeploy.runtime.bundle.archive import whole_archive
from ctpdeploy.runtime.bundle.bundle import VERIFICATION, Bundle, FileDigest, sha256_of
from ctpdeploy.runtime.bundle.signature import require_signing_key, sign
from ctpdeploy.runtime.bundle.trust import ANYONE
from ctpdeploy.runtime.data.case import Case
from ctpdeploy.runtime.data.perfusion_config import stored_perfusion
from ctpdeploy.runtime.data.slices import SliceBatch
from ctpdeploy.runtime.gate.reference import FILE as REFERENCE
from ctpdeploy.runtime.gate.verification import Verification
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig, preprocess, stored_config
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.run_record import RunRecord

__all__ = ["ExportOptions", "export_run"]

CHECKPOINT = "checkpoints/best"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of a bundle.

    Attributes:
        precision: number format of the convolutions: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        static_norm: make the statistics of Switchable Normalization constants.
        archive: make the bundle one zip.
        key: private key to sign it with.
        password: of the key.
        licence: terms of the trained weights, written into the manifest.
        allow_poor: seal networks under the validation floor too; every result of theirs says so.
    """

    precision: str = "fp32"
    static_norm: bool = False
    archive: bool = False
    key: Path | None = None
    password: str | None = None
    licence: str | None = None
    allow_poor: bool = False

    @property
    def calibrates(self) -> bool:
        """Whether there are constants that come from calibration cases."""
        return self.static_norm or self.precision == "int8"


def export_run(
    run: Path,
    out: Path,
    samples: Sequence[Case],
    *,
    cases: Sequence[Case] = (),
    calibration: Sequence[Case] = (),
    options: ExportOptions | None = None,
    progress: Progress = lambda *_: None,
) -> Verification:
    """Fold, export, convert, verify and seal the best checkpoint of a run.

    Args:
        run: folder written by training.
        out: bundle to make; must not exist.
        samples: cases that the gate compares on, at least one; their slices travel in the bundle, and the first also
            raw, made coarse: synthetic only.
        cases: further ones to compare on, which do not travel.
        calibration: cases behind the scales of INT8 and constant statistics; none of the others.
        options: of the bundle.
        progress: called with the next step in words and the share that is done.

    Raises:
        InputError: ``run`` is no run folder.
        UsageError: ``out`` exists, the system sees the real DWI, the key is none, or there is no such precision.
        MissingPackageError: a key is given and model signing is not installed.
        GuardError: validation did not reach the floor, and that is not allowed.
        GateError: the export differs from the trained networks; nothing was published.
    """
    options = options or ExportOptions()
    if options.key is not None:
        require_signing_key(options.key, options.password)
    config, chain = _read_config(run), load_chain(run / CHECKPOINT)
    if any("dwi" in sees for sees in chain.wiring.values()):
        raise UsageError(
            f"The system {config['system']} sees the real DWI, which nobody has in time: export one that does not."
        )
    record = RunRecord.of(run)
    if record.card.poor and not options.allow_poor:
        raise GuardError(f"{record.card.shortfall}: train {run} longer or on more cases, or mark it with --allow-poor.")
    constants = stored_config(config["preprocess"], str(run / "config.json"))  # type: ignore[arg-type]
    constants = replace(constants, threshold=record.threshold)
    approximation = Approximation(
        precision=options.precision,
        static_norm=options.static_norm,
        calibration=_slices(calibration, constants) if calibration else None,
        calibration_cases=_names(calibration),
    )
    perfusion = stored_perfusion(config, str(run / "config.json"))
    with whole_archive(out) if options.archive else atomic_folder(out) as folder:
        raw = make_raw_case(samples[0], constants, perfusion)
        travelling = [*samples, raw.case]
        reference = make_reference(chain, _slices([*travelling, *cases], constants), constants.threshold)
        bench = Workbench(chain=chain, constants=constants, reference=reference)
        graphs, verification = prove(bench, approximation, _names([*travelling, *cases]), progress)
        progress("sealing", 0.97)
        count = sum(len(case.series[0]) for case in travelling)
        replace(reference.first(count), raw=raw).save(folder / REFERENCE)
        verification.write(folder / VERIFICATION)
        Bundle(
            folder=folder,
            source=out,
            system=str(config["system"]),
            precision=options.precision,
            static_norm=options.static_norm,
            networks=bench.write(graphs, folder),
            files={name: FileDigest.of(folder / name) for name in (VERIFICATION, REFERENCE)},
            preprocess=constants,
            perfusion=perfusion,
            provenance=_provenance(run, config),
            licence=options.licence,
            card=record.card,
        ).write_manifest()
        _open_as_received(folder)
        if options.key is not None:
            sign(folder, options.key, options.password)
    return verification


def _open_as_received(folder: Path) -> None:
    """Refuse here what the workstation would refuse: a bundle that nobody can open is not published."""
    bundle = Bundle.open(folder, ANYONE)  # it is signed when it is found to be sound
    for name in bundle.networks:
        bundle.network_content(name)


def _read_config(run: Path) -> dict[str, object]:
    file = run / "config.json"
    if not file.is_file():
        raise InputError(f"{run} is not a run folder: it has no config.json; make one with ctpdeploy train.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return {**config, "preprocess": dict(config["preprocess"]), "perfusion": dict(config.get("perfusion", {}))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged ({error}): train again.") from error


def _slices(cases: Sequence[Case], constants: PreprocessConfig) -> SliceBatch:
    """The slices of all cases."""
    batches = [preprocess(case, constants)[0] for case in cases]
    return SliceBatch(
        frames=np.concatenate([batch.frames for batch in batches]),
        features=np.concatenate([batch.features for batch in batches]),
    )


def _names(cases: Sequence[Case]) -> tuple[str, ...]:
    return tuple(case.identifier for case in cases)


def _provenance(run: Path, config: dict[str, object]) -> dict[str, object]:
    """Provenance of the networks, without paths or names of this machine."""
    return {
        "run": run.resolve().name,
        "config": config,
        "config_sha256": sha256_of(run / "config.json"),
        "split_sha256": sha256_of(run / "split.json"),
        "data_sha256": json.loads((run / "data.json").read_text(encoding="utf-8"))["train_sha256"],
        "versions": {"ctpdeploy": __version__}
        | {package: importlib.metadata.version(package) for package in ("torch", "onnx", "onnxscript")},
    }
