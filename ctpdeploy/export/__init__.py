"""From a trained run to a bundle that a workstation can trust: folded, exported, verified, sealed."""

from ctpdeploy.optional import require

for _package in ("torch", "onnx", "onnxscript", "safetensors"):
    require(_package, extra="train")

from ctpdeploy.export.bundle_writer import ExportOptions, export_run  # noqa: E402  only now are its packages known to be there

__all__ = ["ExportOptions", "export_run"]
