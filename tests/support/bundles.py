"""Small bundles made by hand, as export would seal them, and keys to sign them with."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import TensorProto, helper, numpy_helper

from ctpdeploy import __version__
from ctpdeploy.runtime.bundle.bundle import PIPELINE, VERIFICATION, Bundle, FileDigest, Network
from ctpdeploy.runtime.bundle.manifest import seal_manifest
from ctpdeploy.runtime.gate.reference import FILE as REFERENCE
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.runtime.preprocess.preprocess import FEATURE_NAMES, PreprocessConfig

SIZE = 64

ROLES = ("extractor", "generator", "segmenter")
"""Of the networks of the trained bundle."""


def write_bundle(folder: Path, *, size: int = SIZE) -> Path:
    """A bundle of a system without synthesis: a convolution from the features to two classes."""
    folder.mkdir(parents=True)
    onnx.save(_segmenter(size), folder / "segmenter.onnx")
    onnx.save(_pipeline(size), folder / "pipeline.onnx")
    reference(size).save(folder / REFERENCE)
    seal_segmenter(folder, size=size, parameters=12, nodes=3)
    return folder


def write_rule_bundle(folder: Path, seconds: float, *, size: int = SIZE) -> Path:
    """A bundle whose lesion is where Tmax is over so many seconds; its reference is that of other weights."""
    config = PreprocessConfig()
    weight = np.zeros((2, len(FEATURE_NAMES), 1, 1), dtype=np.float32)
    weight[1, FEATURE_NAMES.index("tmax")] = config.time_window
    bias = np.array([seconds, 0.0], dtype=np.float32)

    def change(model: onnx.ModelProto) -> None:
        for tensor_proto in model.graph.initializer:
            values = {"weight": weight, "bias": bias}.get(tensor_proto.name)
            if values is not None:
                tensor_proto.CopyFrom(numpy_helper.from_array(values, tensor_proto.name))

    write_bundle(folder, size=size)
    for name in ("segmenter", PIPELINE):
        edit_network(folder, change, name)
    return folder


def seal_segmenter(folder: Path, *, size: int, parameters: int, nodes: int, opset: int = 20) -> None:
    """State the two networks and the reference in a folder as a bundle, whose gate held.

    Args:
        folder: with ``segmenter.onnx``, ``pipeline.onnx`` and a reference.
        size: rows and columns.
        parameters: of each network.
        nodes: likewise.
        opset: likewise.
    """
    trial = {"candidate": "onnx", "checks": [{"tensor": "chain", "held": True}]}
    record = {"trials": [trial], "precision": "fp32", "static_bounds": {}}
    (folder / VERIFICATION).write_text(json.dumps(record))
    outputs = {"segmenter": {"logits": ["N", 2, size, size]}, PIPELINE: {"probability": ["N", size, size]}}
    Bundle(
        folder=folder,
        source=folder,
        system="unet",
        networks={
            name: Network(
                **{"file": f"{name}.onnx", **vars(FileDigest.of(folder / f"{name}.onnx"))},
                sees=["features"],
                inputs={"features": ["N", 5, size, size]},
                outputs=found,
                opset=opset,
                parameters=parameters,
                nodes=nodes,
            )
            for name, found in outputs.items()
        },
        files={name: FileDigest.of(folder / name) for name in (VERIFICATION, REFERENCE)},
        preprocess=PreprocessConfig(slice_shape=(size, size)),
        provenance={"versions": {"ctpdeploy": __version__}},
    ).write_manifest()


def reference(size: int = SIZE) -> Reference:
    """Two random slices, and what the convolution makes of them."""
    generator = np.random.default_rng(4)
    frames, features = (generator.random((2, n, size, size), dtype=np.float32) for n in (6, 5))
    weight = onnx.numpy_helper.to_array(_weights()[0])[:, :, 0, 0].astype(np.float64)
    logits = np.einsum("oc,nchw->nohw", weight, features.astype(np.float64))
    probability = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    error = np.full((2, 2), 1e-6)
    return Reference(
        frames=frames,
        features=features,
        outputs={"segmenter": logits, "chain": probability},
        eager={"segmenter": error, "chain": error},
        eager_flips=np.zeros(2, dtype=np.int64),
    )


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change ``bundle.json`` and hide it from its digest."""
    manifest = folder / "bundle.json"
    content = json.loads(manifest.read_text())
    change(content)
    with suppress(ValueError):  # NaN cannot be sealed, nor read
        content = seal_manifest(content)
    manifest.write_text(json.dumps(content))


def reseal(folder: Path) -> None:
    """Put the hashes of the files into the manifest, as whoever edits a file can."""

    def describe(content: dict[str, Any]) -> None:
        for network in content["networks"].values():
            network.update(vars(FileDigest.of(folder / network["file"])))
        for name, file in content["files"].items():
            file.update(vars(FileDigest.of(folder / name)))

    edit_manifest(folder, describe)


def edit_network(folder: Path, change: Callable[[onnx.ModelProto], object], name: str = PIPELINE) -> None:
    """Change a network and hide it from the hashes."""
    model = onnx.load(folder / f"{name}.onnx", load_external_data=False)
    change(model)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    reseal(folder)


def reuse_graphs(
    folder: Path, patch: pytest.MonkeyPatch, change: Callable[[onnx.ModelProto], object] = lambda _: None
) -> None:
    """Take the graphs of a bundle, changed, in place of exporting them again, which takes long."""
    roles = {"extractor": "extractor", "pseudo_dwi": "generator", "logits": "segmenter"}

    def reuse(network: object, *, outputs: str, **names: object) -> onnx.ModelProto:  # noqa: ARG001  export_network's
        model = onnx.load(folder / f"{roles[outputs]}.onnx")
        change(model)
        return model

    patch.setattr("ctpdeploy.export.graph_builder.export_network", reuse)
    patch.setattr("ctpdeploy.export.graph_builder.nodes_as_trained", lambda *_: 1)


def write_keys(folder: Path, name: str, password: bytes | None = None) -> tuple[Path, Path]:
    """A private and a public elliptic key."""
    key = ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def tensor(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _weights() -> list[onnx.TensorProto]:
    weight = np.random.default_rng(3).normal(size=(2, 5, 1, 1)).astype(np.float32)
    return [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(np.zeros(2, np.float32), "bias")]


def _model(
    size: int, nodes: list[onnx.NodeProto], output: onnx.ValueInfoProto, *more: onnx.TensorProto
) -> onnx.ModelProto:
    inputs = [tensor("features", ["N", 5, size, size])]
    graph = helper.make_graph(nodes, "network", inputs, [output], initializer=[*_weights(), *more])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _segmenter(size: int) -> onnx.ModelProto:
    convolution = helper.make_node("Conv", ["features", "weight", "bias"], ["logits"])
    return _model(size, [convolution], tensor("logits", ["N", 2, size, size]))


def _pipeline(size: int) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["features", "weight", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["classes"], axis=1),
        helper.make_node("Gather", ["classes", "lesion"], ["probability"], axis=1),
    ]
    lesion = helper.make_tensor("lesion", TensorProto.INT64, [], [1])
    return _model(size, nodes, tensor("probability", ["N", size, size]), lesion)
