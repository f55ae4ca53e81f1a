"""From a trained run to a bundle that a workstation can trust: folded, exported, verified, sealed."""

from ctpdeploy.optional import require

for _package in ("torch", "onnx", "onnxscript", "safetensors"):
    require(_package, extra="train")

from ctpdeploy.export.seal import ExportOptions, export_run  # noqa: E402  the packages above come first, for their message

__all__ = ["ExportOptions", "export_run"]
