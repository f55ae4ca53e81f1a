"""The bundle: what export seals and the workstation opens.

::

    NAME.ctpbundle/
      bundle.json          what is inside, with hashes, preprocessing constants and provenance
      extractor.onnx  generator.onnx  segmenter.onnx    the networks; some systems have fewer
      pipeline.onnx        all of them merged: what the runtime runs
      verification.json    what the gate measured
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctpdeploy import INTENDED_USE
from ctpdeploy.config import merge, to_dict
from ctpdeploy.errors import CtpdeployError, InputError
from ctpdeploy.runtime.preprocess import PreprocessConfig

__all__ = ["MANIFEST", "PIPELINE", "Bundle", "Network", "sha256_of"]

MANIFEST = "bundle.json"
SCHEMA = 1
PIPELINE = "pipeline"
"""The network that the runtime runs."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """One ONNX file of a bundle.

    Attributes:
        file: its name in the bundle's folder.
        sha256: digest of its bytes, hexadecimal.
        inputs: shape by name; ``"N"`` is the free batch axis. All tensors are float32.
        outputs: likewise.
        opset: ONNX operator set.
        parameters: number of trained weights it stands for.
        nodes: number of operators after folding.
    """

    file: str
    sha256: str
    inputs: Mapping[str, list[int | str]]
    outputs: Mapping[str, list[int | str]]
    opset: int
    parameters: int
    nodes: int


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An opened bundle; its networks are checked against their hashes when they are asked for.

    Attributes:
        folder: where it lies.
        networks: by what they are for: ``extractor``, ``generator``, ``segmenter``, and ``PIPELINE``.
        preprocess: constants that turn a case into network input.
        provenance: which run, data and versions it came from.
    """

    folder: Path
    networks: Mapping[str, Network]
    preprocess: PreprocessConfig
    provenance: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Read ``bundle.json``.

        Raises:
            InputError: no bundle, one of another schema, or a damaged one.
        """
        manifest = folder / MANIFEST
        if not manifest.is_file():
            raise InputError(f"{folder} is not a bundle: it has no {MANIFEST}; make one with ctpdeploy export.")
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            if content["schema"] != SCHEMA:
                raise InputError(
                    f"{folder} has bundle schema {content['schema']}, this version reads {SCHEMA}: export again."
                )
            if PIPELINE not in content["networks"]:
                raise KeyError(PIPELINE)
            return cls(
                folder=folder,
                networks={name: Network(**network) for name, network in content["networks"].items()},
                preprocess=merge(PreprocessConfig(), content["preprocess"], where=str(manifest)),
                provenance=content["provenance"],
            )
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError, CtpdeployError) as error:
            raise InputError(f"{manifest} is damaged ({error}): copy or export the bundle again.") from error

    def write_manifest(self) -> None:
        """Write ``bundle.json`` into the folder."""
        content = {
            "schema": SCHEMA,
            "intended_use": INTENDED_USE,
            "networks": {name: to_dict(network) for name, network in self.networks.items()},
            "preprocess": to_dict(self.preprocess),
            "provenance": dict(self.provenance),
        }
        (self.folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def network_file(self, name: str) -> Path:
        """Path of a network, after comparing its hash.

        Raises:
            InputError: the file is missing or differs from the one that was sealed.
        """
        path = self.folder / self.networks[name].file
        if not path.is_file():
            raise InputError(f"{path} is missing: copy or export the bundle again.")
        if sha256_of(path) != self.networks[name].sha256:
            raise InputError(f"{path} is not the file that was sealed in the bundle: copy or export the bundle again.")
        return path

    @property
    def sha256(self) -> str:
        """Digest of the manifest, and through the hashes in it of the whole bundle."""
        return sha256_of(self.folder / MANIFEST)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
