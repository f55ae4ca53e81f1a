"""The export of a trained run as a bundle: networks folded, written as ONNX, verified by the gate, and sealed."""

from ctpdeploy.optional import require

for _package in ("torch", "onnx", "onnxscript", "safetensors"):
    require(_package, extra="train")

from ctpdeploy.export.bundle_writer import ExportOptions, export_run  # noqa: E402  after the check for its packages

__all__ = ["ExportOptions", "export_run"]
