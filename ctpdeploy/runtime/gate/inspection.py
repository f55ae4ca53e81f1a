"""A bundle inspected: without running it, and by passing the gate again."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctpdeploy.errors import GateError, GuardError, InputError
from ctpdeploy.runtime.backends import ort_cpu
from ctpdeploy.runtime.backends.registry import open_engine
from ctpdeploy.runtime.bundle.bundle import VERIFICATION, Bundle
from ctpdeploy.runtime.bundle.trust import Signer
from ctpdeploy.runtime.gate.gate import reference_of, try_engine, try_networks
from ctpdeploy.runtime.gate.preprocessing import (
    CaseTrial,
    PreprocessingTrial,
    other_preprocessing,
    try_case,
    try_preprocessing,
)
from ctpdeploy.runtime.gate.verification import Comparison, limits_of

__all__ = ["Repeated", "inspect_bundle", "repeat_gate"]


def inspect_bundle(path: Path, signer: Signer = None) -> dict[str, Any]:
    """Check a bundle as far as it goes without an engine: structure, hashes, signature, graphs, the gate's record.

    Args:
        path: folder or zip.
        signer: who has to have signed it, as for :meth:`Bundle.open`.

    Returns:
        The findings, ready for JSON. ``signature`` is ``"none"``, ``"not checked"`` or ``"holds"``, and ``signed_by``
        name and fingerprint of the key with which it was checked, or None.

    Raises:
        InputError, UsageError, MissingPackageError: as :meth:`Bundle.open`, and for a graph that is refused.
        GuardError: by the gate's record the export is not equal to the trained networks.
    """
    with Bundle.open(path, signer) as bundle:
        for name in bundle.networks:
            bundle.network_content(name)
        return {
            "bundle": path.resolve().name,
            "sha256": bundle.sha256,
            "system": bundle.system,
            "licence": bundle.licence,
            "written_by": f"ctpdeploy {bundle.provenance['versions']['ctpdeploy']}",
            "signature": bundle.signature,
            "signed_by": None
            if bundle.signed_by is None
            else {"name": bundle.signed_by.file.name, "sha256": bundle.signed_by.fingerprint},
            "files": {name: {"sha256": file.sha256, "bytes": file.size} for name, file in bundle.digests.items()},
            "precision": bundle.precision,
            "networks": {
                name: {"sees": network.sees, "opset": network.opset, "parameters": network.parameters}
                for name, network in bundle.networks.items()
            },
            "threshold": bundle.preprocess.threshold,
            "card": None if bundle.card is None else bundle.card.summary(),
            "gate_checks": _gate_checks(bundle),
        }


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """The gate passed again.

    Attributes:
        trials: of the networks and the backend.
        preprocessing: of the raw case; None in a bundle made before one travelled.
        case: the backend on it, from its voxels to a mask; likewise.
    """

    trials: tuple[Comparison, ...]
    preprocessing: PreprocessingTrial | None = None
    case: CaseTrial | None = None


def repeat_gate(path: Path, backend: str, signer: Signer = None) -> Repeated:
    """Pass the gate again on this machine.

    What preprocessing makes of the raw case, each network in ONNX Runtime, if it is here, the engine of a backend, and
    that from the raw case to its mask.

    Args:
        path: folder or zip.
        backend: name of the backend.
        signer: who has to have signed the bundle, as for :meth:`Bundle.open`.

    Returns:
        What was measured, all within its limits.

    Raises:
        InputError, UsageError, BackendError: as :class:`Bundle` and :func:`open_engine`, or the reference is damaged.
        GateError: a limit does not hold here; names each, with the figures.
    """
    with Bundle.open(path, signer) as bundle:
        reference = reference_of(bundle)
        raw = reference.raw
        preprocessing = None if raw is None else try_preprocessing(bundle, raw)
        if preprocessing is not None and (found := preprocessing.failures()):
            raise other_preprocessing(bundle, found)
        with open_engine(bundle, backend) as engine:
            trials = [try_engine(bundle, engine, reference)]
            case = None if raw is None else try_case(bundle, engine, reference, raw)
        if ort_cpu.unavailable_because() is None:
            limits = limits_of(bundle.precision, static_norm=bundle.static_norm)
            trials.insert(0, try_networks("networks", bundle.networks, bundle.folder, reference, limits))
    failures = [phrase for trial in trials for phrase in trial.failures()] + (case.failures() if case else [])
    if failures:
        raise GateError(f"{path} does not hold on this machine: {'; '.join(failures)}; do not use it here.")
    return Repeated(trials=tuple(trials), preprocessing=preprocessing, case=case)


def _gate_checks(bundle: Bundle) -> int:
    """Number of comparisons that the gate made when the bundle was sealed, all of which held."""
    called = bundle.source / VERIFICATION
    try:
        record = json.loads((bundle.folder / VERIFICATION).read_bytes())
        held = [check["held"] for trial in record["trials"] for check in trial["checks"]]
        precision, static_norm = record["precision"], bool(record["static_bounds"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{called} is damaged ({error}): copy or export the bundle again.") from error
    if not held or not all(check is True for check in held):
        raise GuardError(
            f"{called} records a gate that did not hold ({held.count(True)} of {len(held)} checks held): do not use "
            "the bundle, export it again."
        )
    if (precision, static_norm) != (bundle.precision, bundle.static_norm):
        raise GuardError(
            f"{called} records a gate of {precision} with {_statistics(static=static_norm)} and bundle.json states "
            f"{bundle.precision} with {_statistics(static=bundle.static_norm)}: do not use the bundle, export it again."
        )
    return len(held)


def _statistics(*, static: bool) -> str:
    return "constant statistics" if static else "statistics of each slice"
