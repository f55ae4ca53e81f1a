"""What can be said of a bundle without running it."""

import json
from pathlib import Path
from typing import Any

from ctpdeploy.errors import GuardError, InputError
from ctpdeploy.runtime.bundle import VERIFICATION, Bundle

__all__ = ["inspect_bundle"]


def inspect_bundle(path: Path, key: Path | None = None) -> dict[str, Any]:
    """Check a bundle as far as it goes without an engine: structure, hashes, signature, graphs, the gate's record.

    Args:
        path: folder or zip.
        key: public key of who has to have signed it.

    Returns:
        What was found, ready for JSON. ``signature`` is ``"none"``, ``"not checked"`` or ``"holds"``.

    Raises:
        InputError, UsageError, MissingPackageError: as :meth:`Bundle.open`, and for a graph that is refused.
        GuardError: the gate's record says that the export is not equal to the trained networks.
    """
    with Bundle.open(path, key) as bundle:
        for name in bundle.networks:
            bundle.network_file(name)
        return {
            "bundle": path.resolve().name,
            "sha256": bundle.sha256,
            "system": bundle.system,
            "licence": bundle.licence,
            "written_by": f"ctpdeploy {bundle.provenance['versions']['ctpdeploy']}",
            "signature": "holds" if key else "not checked" if bundle.signed else "none",
            "files": {name: {"sha256": file.sha256, "bytes": file.size} for name, file in bundle.sealed.items()},
            "networks": {
                name: {"sees": network.sees, "opset": network.opset, "parameters": network.parameters}
                for name, network in bundle.networks.items()
            },
            "gate_checks": _gate_checks(bundle),
        }


def _gate_checks(bundle: Bundle) -> int:
    """Number of comparisons that the gate made when the bundle was sealed, all of which held."""
    called = bundle.source / VERIFICATION
    try:
        held = [check["held"] for check in json.loads((bundle.folder / VERIFICATION).read_bytes())["checks"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{called} is damaged ({error}): copy or export the bundle again.") from error
    if not held or not all(check is True for check in held):
        raise GuardError(
            f"{called} records a gate that did not hold ({held.count(True)} of {len(held)} checks held): do not use "
            "the bundle, export it again."
        )
    return len(held)
