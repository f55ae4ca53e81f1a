"""From a run folder to a sealed bundle."""

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto

from ctpdeploy import __version__
from ctpdeploy.config import merge
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.export.fold import fold
from ctpdeploy.export.gate import verify
from ctpdeploy.export.graph import export_network, merge_pipeline, tensor_shapes
from ctpdeploy.export.verification import Verification
from ctpdeploy.runtime.archive import whole_archive
from ctpdeploy.runtime.bundle import PIPELINE, VERIFICATION, Bundle, Network, SealedFile, sha256_of
from ctpdeploy.runtime.case import Case
from ctpdeploy.runtime.folders import whole_folder
from ctpdeploy.runtime.preprocess import PreprocessConfig, SliceBatch, preprocess
from ctpdeploy.runtime.signature import require_signing_key, sign
from ctpdeploy.train.networks import load_chain
from ctpdeploy.train.networks.chain import OUTPUTS, Chain, source_channels

__all__ = ["export_run"]

CHECKPOINT = "checkpoints/best"


def export_run(
    run: Path,
    out: Path,
    cases: Sequence[Case],
    on_step: Callable[[str], None] = lambda _: None,
    *,
    archive: bool = False,
    key: Path | None = None,
    password: str | None = None,
    licence: str | None = None,
) -> Verification:
    """Fold, export, verify and seal the best checkpoint of a run.

    Args:
        run: folder written by training.
        out: bundle to make; must not exist.
        cases: what the gate compares on, at least one.
        on_step: told in words what happens next.
        archive: make the bundle one zip.
        key: private key to sign it with.
        password: of the key.
        licence: terms of the trained weights, written into the manifest.

    Raises:
        InputError: ``run`` is no run folder.
        UsageError: ``out`` exists, the system sees the real DWI, or ``key`` is none.
        MissingPackageError: ``key`` is given and model signing is not installed.
        GateError: the export differs from the trained networks; nothing was published.
    """
    if key is not None:
        require_signing_key(key, password)
    config, chain = _read_config(run), load_chain(run / CHECKPOINT)
    if any("dwi" in sees for sees in chain.wiring.values()):
        raise UsageError(
            f"The system {config['system']} sees the real DWI, which nobody has in time: export one that does not."
        )
    constants = merge(PreprocessConfig(), config["preprocess"], where=str(run / "config.json"))  # type: ignore[arg-type]
    with whole_archive(out) if archive else whole_folder(out) as folder:
        on_step("folding normalisation")
        folded = fold(chain)
        models = _export_networks(folded, constants, folder, on_step)
        files = {name: folder / f"{name}.onnx" for name in models}
        on_step("gate: torch float64 against the exported graphs")
        batch = _concatenate([preprocess(case, constants) for case in cases])
        verification = verify(chain, folded, files, batch, [case.identifier for case in cases])
        verification.write(folder / VERIFICATION)
        on_step("sealing")
        parameters = {name: sum(p.numel() for p in network.parameters()) for name, network in chain.named_children()}
        parameters[PIPELINE] = sum(parameters.values())
        sees = {**chain.wiring, PIPELINE: [value.name for value in models[PIPELINE].graph.input]}
        Bundle(
            folder=folder,
            source=out,
            system=str(config["system"]),
            networks={
                name: _describe(model, files[name], list(sees[name]), parameters[name])
                for name, model in models.items()
            },
            files={VERIFICATION: SealedFile.of(folder / VERIFICATION)},
            preprocess=constants,
            provenance=_provenance(run, config),
            licence=licence,
        ).write_manifest()
        _open_as_received(folder)
        if key is not None:
            sign(folder, key, password)
    return verification


def _open_as_received(folder: Path) -> None:
    """Refuse here what the workstation would refuse: a bundle that nobody can open is not published."""
    bundle = Bundle.open(folder)
    for name in bundle.networks:
        bundle.network_file(name)


def _read_config(run: Path) -> dict[str, object]:
    file = run / "config.json"
    if not file.is_file():
        raise InputError(f"{run} is not a run folder: it has no config.json; make one with ctpdeploy train.")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return {**config, "preprocess": dict(config["preprocess"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged ({error}): train again.") from error


def _export_networks(
    folded: Chain, constants: PreprocessConfig, folder: Path, on_step: Callable[[str], None]
) -> dict[str, ModelProto]:
    """Write each network and their merger."""
    models = {}
    for role, sees in folded.wiring.items():
        on_step(f"exporting {role}")
        models[role] = export_network(
            folded.get_submodule(role),
            folder / f"{role}.onnx",
            shape=(source_channels(sees, constants.frames), *constants.slice_shape),
            inputs="_and_".join(sees),
            outputs=OUTPUTS[role],
        )
    merged = merge_pipeline(models, folded.wiring, folder / f"{PIPELINE}.onnx", frames=constants.frames)
    return {**models, PIPELINE: merged}


def _describe(model: ModelProto, file: Path, sees: list[str], parameters: int) -> Network:
    sealed = SealedFile.of(file)
    return Network(
        file=file.name,
        sha256=sealed.sha256,
        size=sealed.size,
        sees=sees,
        inputs=tensor_shapes(model.graph.input),
        outputs=tensor_shapes(model.graph.output),
        opset=model.opset_import[0].version,
        parameters=parameters,
        nodes=len(model.graph.node),
    )


def _concatenate(batches: Sequence[SliceBatch]) -> SliceBatch:
    return SliceBatch(
        frames=np.concatenate([batch.frames for batch in batches]),
        features=np.concatenate([batch.features for batch in batches]),
        window=batches[0].window,
    )


def _provenance(run: Path, config: dict[str, object]) -> dict[str, object]:
    """Where the networks come from, without paths or names of this machine."""
    return {
        "run": run.resolve().name,
        "config": config,
        "config_sha256": sha256_of(run / "config.json"),
        "split_sha256": sha256_of(run / "split.json"),
        "data_sha256": json.loads((run / "data.json").read_text(encoding="utf-8"))["train_sha256"],
        "versions": {"ctpdeploy": __version__}
        | {package: importlib.metadata.version(package) for package in ("torch", "onnx", "onnxscript")},
    }
