"""A model repository for NVIDIA's Triton Inference Server, from a bundle.

::

    DIR/
      README.md                       how to start the server, build the plan and send requests
      ctp_pipeline_onnx/              served by ONNX Runtime, on a GPU or on the CPU, as it lies here
        config.pbtxt
        1/model.onnx                  the merged network of the bundle, byte for byte
      ctp_pipeline_tensorrt.pbtxt     configuration of the model that build_plan.sh makes of it
      build_plan.sh                   run on the machine that serves; makes ctp_pipeline_tensorrt/
      client.py                       a case in, a mask out, through the server
      bundle.json  verification.json  of the bundle: preprocessing constants, and measurements of the gate

Triton takes every folder in a repository for a model and ends when one does not load; files beside the folders it does
not look at. A plan is executable code of one GPU and one version of TensorRT, so none is shipped; and a folder without
its plan would keep the server from starting, so there is none before the plan is built.
"""

import shutil
import string
from pathlib import Path
from typing import Final

from ctpdeploy import INTENDED_USE, __version__
from ctpdeploy.atomic import atomic_folder
from ctpdeploy.export.triton.config import ONNX, SLICES, TENSORRT, VERSION, config_text
from ctpdeploy.runtime.bundle.bundle import MANIFEST, PIPELINE, VERIFICATION, Bundle

__all__ = ["write_repository"]

_HERE: Final = Path(__file__).parent


class _Template(string.Template):
    """Text with ``@{name}`` in it, since the files themselves are full of dollar signs."""

    delimiter = "@"


def write_repository(bundle: Bundle, out: Path) -> tuple[str, ...]:
    """Write a model repository.

    Args:
        bundle: its merged network is served.
        out: folder to make; must not exist.

    Returns:
        Names of the models: the one that is served as it is, and the one that ``build_plan.sh`` makes.

    Raises:
        UsageError: ``out`` exists.
        InputError: the bundle is damaged; nothing was written.
    """
    network = bundle.network_file(PIPELINE)
    with atomic_folder(out) as folder:
        version = folder / ONNX.name / str(VERSION)
        version.mkdir(parents=True)
        shutil.copyfile(network, version / ONNX.file)
        _write(folder / ONNX.name / "config.pbtxt", config_text(ONNX, bundle))
        _write(folder / f"{TENSORRT.name}.pbtxt", config_text(TENSORRT, bundle))
        for name in (MANIFEST, VERIFICATION):
            shutil.copyfile(bundle.folder / name, folder / name)
        shutil.copyfile(_HERE / "client.py", folder / "client.py")
        values = _values(bundle)
        _write(folder / "README.md", _filled("readme.md", values))
        _write(folder / "build_plan.sh", _filled("build_plan.sh", values))
        (folder / "build_plan.sh").chmod(0o755)
    return (ONNX.name, TENSORRT.name)


def _filled(template: str, values: dict[str, str]) -> str:
    return _Template((_HERE / template).read_text(encoding="utf-8")).substitute(values)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")  # a shell does not take other line ends


def _values(bundle: Bundle) -> dict[str, str]:
    """Values of the placeholders in the templates."""
    network = bundle.networks[PIPELINE]
    tensors = {"input": network.inputs, "output": network.outputs}
    shapes = {
        bound: ",".join(f"{name}:{'x'.join(map(str, [n, *shape[1:]]))}" for name, shape in network.inputs.items())
        for bound, n in zip(("fewest", "likely", "most"), SLICES, strict=True)
    }
    return {
        **shapes,
        "tensors": "\n".join(
            f"| {side} | `{name}` | `({', '.join(map(str, shape))})` |"
            for side, named in tensors.items()
            for name, shape in named.items()
        ),
        "onnx": ONNX.name,
        "tensorrt": TENSORRT.name,
        "version": str(VERSION),
        "slices": str(SLICES[-1]),
        "sizes": ", ".join(map(str, SLICES)),
        "bundle": bundle.source.resolve().name,
        "bundle_sha256": bundle.sha256,
        "network_sha256": network.sha256,
        "opset": str(network.opset),
        "precision": bundle.precision,
        "ctpdeploy": __version__,
        "intended_use": INTENDED_USE,
    }
