"""From a trained run to a bundle that a workstation can trust: folded, exported, verified, sealed."""

from ctpdeploy.optional import require

for _package in ("torch", "onnx", "onnxscript", "safetensors"):
    require(_package, extra="train")

from ctpdeploy.export.seal import export_run  # noqa: E402  the packages above come first, for their message
from ctpdeploy.export.verification import Verification  # noqa: E402

__all__ = ["Verification", "export_run"]
