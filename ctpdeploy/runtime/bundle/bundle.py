"""The bundle: networks with their manifest, written by export and opened by the workstation.

::

    NAME.ctpbundle/        or the same files in NAME.ctpbundle.zip
      bundle.json          what is inside, with hashes, preprocessing constants and provenance
      extractor.onnx  generator.onnx  segmenter.onnx    the networks; some systems have fewer
      pipeline.onnx        all of them merged: what the runtime runs
      verification.json    what the gate measured
      reference.safetensors    slices of synthetic patients and what to find in them, to pass the gate again
      bundle.sig           OpenSSF model signature, if it was signed
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from ctpdeploy import INTENDED_USE
from ctpdeploy.config import to_dict
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.runtime.bundle.archive import Unpacked
from ctpdeploy.runtime.bundle.manifest import MANIFEST, SCHEMA, read_manifest, seal_manifest
from ctpdeploy.runtime.bundle.onnx_check import check_onnx
from ctpdeploy.runtime.bundle.signature import SIGNATURE, PublicKey, check_signature
from ctpdeploy.runtime.bundle.trust import Signer, keys_of
from ctpdeploy.runtime.data.model_card import ModelCard, stored_card
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig, stored_perfusion
from ctpdeploy.runtime.preprocess.preprocess import FEATURE_NAMES, PreprocessConfig, stored_config

__all__ = ["MANIFEST", "PIPELINE", "SOURCES", "VERIFICATION", "Bundle", "FileDigest", "Network", "sha256_of"]

PIPELINE: Final = "pipeline"
"""The network that the runtime runs."""
VERIFICATION: Final = "verification.json"

SOURCES: Final = frozenset({"frames", "features", "maps"})
"""What networks see of a case; the maps are the first of the features."""

_FILES_AT_ONCE: Final = 4
"""As many networks as there are beside the merged one, and one more file."""


@dataclass(frozen=True, kw_only=True)
class FileDigest:
    """Digest and size of a file, as the manifest records them.

    Attributes:
        sha256: digest of its bytes, hexadecimal.
        size: number of its bytes.
    """

    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> "FileDigest":
        """Describe a file."""
        return cls(sha256=sha256_of(path), size=path.stat().st_size)


@dataclass(frozen=True, kw_only=True)
class Network:
    """One ONNX file of a bundle.

    Attributes:
        file: its name in the bundle's folder: the network's own and ``.onnx``.
        sha256: digest of its bytes, hexadecimal.
        size: number of its bytes.
        sees: names of the tensors stacked along the channels of its input, in order; of ``PIPELINE`` the inputs.
        inputs: shape by name; ``"N"`` is the free batch axis. All tensors are float32.
        outputs: likewise.
        opset: ONNX operator set.
        parameters: number of trained weights it stands for.
        nodes: number of operators after folding.
    """

    file: str
    sha256: str
    size: int
    sees: list[str]
    inputs: Mapping[str, list[int | str]]
    outputs: Mapping[str, list[int | str]]
    opset: int
    parameters: int
    nodes: int


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """An opened bundle; every file was compared with its hash, the merged network when it is asked for.

    To be used in a ``with`` statement, at whose end the unpacked files of a zip are removed.

    Attributes:
        folder: where its files lie; of a zip a private folder, until the bundle is closed.
        source: what the user calls it: the folder or the zip.
        system: the trained system.
        networks: by what they are for: ``extractor``, ``generator``, ``segmenter``, and ``PIPELINE``.
        files: the other files by name.
        preprocess: constants that turn a case into network input.
        provenance: which run, data and versions it came from.
        perfusion: how maps are computed where a case has none.
        precision: number format of the networks' arithmetic, ``"fp32"``, ``"fp16"`` or ``"int8"``; what goes in and out
            is float32.
        static_norm: the statistics of normalisation are constants, which approximates the trained networks.
        licence: terms of the weights as their maker states them.
        card: what the networks were trained on and reached; None in bundles made before there was one.
        signed_by: the key with which its signature was checked; None where none was required.
        unpacked: owner of ``folder``, if it is a private one.
    """

    folder: Path
    source: Path
    system: str
    networks: Mapping[str, Network]
    files: Mapping[str, FileDigest]
    preprocess: PreprocessConfig
    provenance: Mapping[str, Any]
    perfusion: PerfusionConfig = field(default_factory=PerfusionConfig)
    precision: str = "fp32"
    static_norm: bool = False
    licence: str | None = None
    card: ModelCard | None = None
    signed_by: PublicKey | None = field(default=None, compare=False)
    unpacked: Unpacked | None = field(default=None, repr=False, compare=False)

    @classmethod
    def open(cls, path: Path | str, signer: Signer = None) -> "Bundle":
        """Open a bundle, a folder or a zip, and compare every file with its hash.

        The merged network alone, half of the bytes of a bundle, waits for :meth:`network_content`, which every use of
        it goes through: what runs is hashed once, and what does not run too.

        Args:
            path: the bundle.
            signer: whose public key has to have signed it. By default one of those that this workstation trusts
                (``ctpdeploy trust``), and anybody where it trusts none; ``ANYONE`` for anybody all the same.

        Raises:
            InputError: no bundle, one of another schema, a damaged one, or one that nobody asked for has signed.
            UsageError: ``signer`` is no public key, or the trusted ones cannot be read.
            MissingPackageError: a signature is required and model signing is not installed.
        """
        path, keys = Path(path), keys_of(signer)
        if not path.is_file():
            return cls._open(path, path, keys)
        unpacked = Unpacked(path)
        try:
            return cls._open(unpacked.folder, path, keys, unpacked)
        except BaseException:
            unpacked.remove()
            raise

    @classmethod
    def _open(cls, folder: Path, source: Path, keys: Sequence[PublicKey], unpacked: Unpacked | None = None) -> "Bundle":
        present = _list_files(folder, source)
        signer = check_signature(folder, keys, source) if keys else None  # before any of it is taken at its word
        content = read_manifest(folder, source)
        preprocess, perfusion = _constants(content, source)
        bundle = cls(
            folder=folder,
            source=source,
            system=content["system"],
            networks={name: Network(**network) for name, network in content["networks"].items()},
            files={name: FileDigest(**file) for name, file in content["files"].items()},
            preprocess=preprocess,
            perfusion=perfusion,
            provenance=content["provenance"],
            precision=content["precision"],
            static_norm=content["static_norm"],
            licence=content["licence"],
            card=stored_card(content),
            signed_by=signer,
            unpacked=unpacked,
        )
        bundle._check_names(present)
        bundle._check_sources()
        bundle._check_shapes()
        others = set(bundle.digests) - {bundle.networks[PIPELINE].file}
        with ThreadPoolExecutor(_FILES_AT_ONCE) as pool:  # hashing waits neither for Python nor for another file
            for _ in pool.map(bundle._check_file, sorted(others)):
                pass
        return bundle

    def __enter__(self) -> "Bundle":
        return self

    def __exit__(self, *_: object) -> None:
        if self.unpacked is not None:
            self.unpacked.remove()

    def write_manifest(self) -> None:
        """Write ``bundle.json`` into the folder."""
        content = {
            "schema": SCHEMA,
            "intended_use": INTENDED_USE,
            "licence": self.licence,
            "system": self.system,
            "precision": self.precision,
            "static_norm": self.static_norm,
            "networks": {name: to_dict(network) for name, network in self.networks.items()},
            "files": {name: to_dict(file) for name, file in self.files.items()},
            "preprocess": to_dict(self.preprocess),
            "perfusion": to_dict(self.perfusion.stated()),
            "provenance": dict(self.provenance),
        } | ({} if self.card is None else {"card": to_dict(self.card)})
        text = json.dumps(seal_manifest(content), indent=2, allow_nan=False) + "\n"
        (self.folder / MANIFEST).write_text(text, encoding="utf-8")

    def network_content(self, name: str) -> bytes:
        """The bytes of a network, these very ones compared with its hash, and its graph looked into.

        Raises:
            InputError: they are not what was sealed, or the graph is not the one that the manifest states.
        """
        network = self.networks[name]
        content = self._path(network.file).read_bytes()
        self._require_digest(network.file, FileDigest(sha256=hashlib.sha256(content).hexdigest(), size=len(content)))
        check_onnx(
            content,
            inputs=network.inputs,
            outputs=network.outputs,
            opset=network.opset,
            where=str(self.source / network.file),
        )
        return content

    def network_file(self, name: str) -> Path:
        """Path of a network, after :meth:`network_content`, for who cannot take that.

        Raises:
            InputError: as there.
        """
        self.network_content(name)
        return self.folder / self.networks[name].file

    @property
    def digests(self) -> dict[str, FileDigest]:
        """Digests of the files that the manifest names, by name."""
        networks = {n.file: FileDigest(sha256=n.sha256, size=n.size) for n in self.networks.values()}
        return networks | dict(self.files)

    @property
    def signature(self) -> Literal["holds", "not checked", "none"]:
        """Whether there is a signature, and whether it was checked."""
        if self.signed_by is not None:
            return "holds"
        return "not checked" if (self.folder / SIGNATURE).is_file() else "none"

    @property
    def sha256(self) -> str:
        """Digest of the manifest, and through the hashes in it of the whole bundle."""
        return sha256_of(self.folder / MANIFEST)

    def _check_names(self, present: set[str]) -> None:
        for name, network in self.networks.items():
            if network.file != f"{name}.onnx":
                raise InputError(f"{self.source} takes {network.file} for its {name}: export the bundle again.")
        extra = sorted(present - set(self.digests) - {MANIFEST, SIGNATURE})
        if extra:
            raise InputError(
                f"{self.source / extra[0]} is not listed in {MANIFEST}: remove it or copy the bundle again."
            )

    def _check_sources(self) -> None:
        """What a network sees has to be of the case or of another network."""
        known = {name for network in self.networks.values() for name in network.outputs} | SOURCES
        for name, network in self.networks.items():
            stated = set(network.inputs) if name == PIPELINE else known
            if strange := sorted(set(network.sees) - stated):
                raise InputError(
                    f"{self.source} has a {name} that sees '{strange[0]}', which nothing makes: export it again."
                )

    def _check_shapes(self) -> None:
        """The merged network has to take what the preprocessing makes, and to return a probability."""
        size, pipeline = list(self.preprocess.slice_shape), self.networks[PIPELINE]
        made = {"frames": ["N", self.preprocess.frames, *size], "features": ["N", len(FEATURE_NAMES), *size]}
        images = {name: ["N", 1, *size] for name in ("extractor", "pseudo_dwi")}
        returned = images | {"probability": ["N", *size]}
        if (
            not pipeline.inputs.items() <= made.items()
            or not pipeline.outputs.items() <= returned.items()
            or "probability" not in pipeline.outputs
        ):
            raise InputError(
                f"{self.source} has a {pipeline.file} that does not fit its preprocessing, from "
                f"{dict(pipeline.inputs)} to {dict(pipeline.outputs)}: export the bundle again."
            )

    def _check_file(self, name: str) -> None:
        self._require_digest(name, FileDigest.of(self._path(name)))

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise InputError(f"{self.source / name} is missing: copy or export the bundle again.")
        return path

    def _require_digest(self, name: str, found: FileDigest) -> None:
        if found != self.digests[name]:
            raise InputError(
                f"{self.source / name} is not the file that was sealed in the bundle: copy or export the bundle again."
            )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _list_files(folder: Path, source: Path) -> set[str]:
    """Names of what lies in a bundle, which are plain files only."""
    if not folder.is_dir():
        raise InputError(f"{source} is not there: give a bundle, a folder or a zip made by ctpdeploy export.")
    entries = sorted(folder.iterdir())
    if MANIFEST not in {entry.name for entry in entries}:
        raise InputError(f"{source} is not a bundle: it has no {MANIFEST}; make one with ctpdeploy export.")
    for entry in entries:
        if entry.is_symlink() or not entry.is_file():
            raise InputError(f"{source / entry.name} is a link or a folder, which no bundle holds: copy it again.")
    return {entry.name for entry in entries}


def _constants(content: Mapping[str, Any], source: Path) -> tuple[PreprocessConfig, PerfusionConfig]:
    where = str(source / MANIFEST)
    try:
        stated = stored_config(content["preprocess"], where), stored_perfusion(content, where)
        trained = _constants_of_training(content["provenance"].get("config"), where)
    except UsageError as error:
        raise InputError(f"{source / MANIFEST} is damaged ({error}): copy or export the bundle again.") from error
    # the threshold is found by training, not set for it: whether it is the one of the export, the raw case tells
    if trained is not None and trained != (replace(stated[0], threshold=trained[0].threshold), stated[1].stated()):
        raise InputError(
            f"{source / MANIFEST} states another preprocessing than that its networks were trained with, which its "
            "provenance has: copy or export the bundle again."
        )
    return stated


def _constants_of_training(config: object, where: str) -> tuple[PreprocessConfig, PerfusionConfig] | None:
    """The same in the configuration of the run, which the provenance keeps; None where it keeps none.

    Raises:
        UsageError: as for those of the manifest.
    """
    if not isinstance(config, dict) or not isinstance(config.get("preprocess"), dict):
        return None
    return stored_config(config["preprocess"], where), stored_perfusion(config, where).stated()
