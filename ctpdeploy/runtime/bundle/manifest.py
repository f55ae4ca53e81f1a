"""``bundle.json`` from an untrusted source: bounded, strict JSON, and valid by the published schema."""

import functools
import hashlib
import importlib.resources
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ctpdeploy.errors import InputError
from ctpdeploy.printable import printable
from ctpdeploy.runtime.bundle.json_schema import first_error

__all__ = ["MANIFEST", "SCHEMA", "manifest_schema", "read_manifest", "seal_manifest"]

MANIFEST: Final = "bundle.json"
SCHEMA: Final = 3
"""Version of the manifest that this code reads and writes."""

MAX_BYTES: Final = 2**20

_DIGEST: Final = "digest"
_LONGEST: Final = 300
"""Characters of a reason, which may quote the file."""


@functools.cache
def manifest_schema() -> dict[str, Any]:
    """The JSON schema of ``bundle.json``."""
    text = (
        importlib.resources.files("ctpdeploy.runtime.bundle").joinpath("bundle.schema.json").read_text(encoding="utf-8")
    )
    schema: dict[str, Any] = json.loads(text)
    return schema


def seal_manifest(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a manifest with a digest of itself, so that no edit goes unseen.

    The digest is SHA-256 of the rest as JSON with sorted keys and without blanks. It keeps off accidents; who edits
    with intent makes another, and a signature tells.
    """
    rest = {key: value for key, value in content.items() if key != _DIGEST}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return {**rest, _DIGEST: hashlib.sha256(text.encode("utf-8")).hexdigest()}


def read_manifest(folder: Path, source: Path) -> dict[str, Any]:
    """Read and check the manifest of a bundle.

    Args:
        folder: where it lies.
        source: path of the bundle in error messages.

    Raises:
        InputError: it is missing, too large, not JSON, of another schema, not valid, or changed.
    """
    path, called = folder / MANIFEST, source / MANIFEST
    if not path.is_file():
        raise InputError(f"{source} is not a bundle: it has no {MANIFEST}; make one with ctpdeploy export.")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{called} is larger than {MAX_BYTES} bytes, which no bundle needs: export the bundle again.")
    try:
        content = json.loads(
            path.read_bytes().decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant
        )
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{called} is damaged ({error}): copy or export the bundle again.") from error
    if not isinstance(content, dict) or type(content.get("schema")) is not int:
        raise InputError(f"{called} is damaged (it states no schema): copy or export the bundle again.")
    if content["schema"] != SCHEMA:
        raise InputError(_other_schema(source, content))
    error_found = first_error(content, manifest_schema())
    if error_found is not None:
        raise InputError(f"{called} is damaged ({printable(error_found, _LONGEST)}): copy or export the bundle again.")
    if _DIGEST in content and content != seal_manifest(content):  # bundles made before it have none
        raise InputError(f"{called} was changed after it was sealed: copy or export the bundle again.")
    return content


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of two equal keys one reader takes the first and another the last."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands there twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _other_schema(source: Path, content: dict[str, Any]) -> str:
    """The sentence on a bundle of another schema, with the version that wrote it and so reads it, if recorded."""
    provenance = content.get("provenance")
    versions = provenance.get("versions") if isinstance(provenance, dict) else None
    writer = versions.get("ctpdeploy") if isinstance(versions, dict) else None
    reader = (
        f"ctpdeploy {writer}, which wrote it, reads it"
        if isinstance(writer, str) and re.fullmatch(r"[0-9][0-9a-z.+]{0,30}", writer)
        else "only the ctpdeploy that wrote it reads it"
    )
    return f"{source} has bundle schema {content['schema']}, this version reads {SCHEMA}: {reader}, or export it again."
