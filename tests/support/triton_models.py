"""What the model repository of a bundle holds, and its configurations as Triton reads them."""

from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

ModelConfig = model_config_pb2.ModelConfig
ONNX, TENSORRT = "ctp_pipeline_onnx", "ctp_pipeline_tensorrt"
NETWORK = f"{ONNX}/1/model.onnx"


def config_of(repository: Path, model: str = ONNX) -> ModelConfig:
    """A configuration as Triton reads it, which refuses fields and values that it does not know."""
    file = repository / (f"{model}/config.pbtxt" if model == ONNX else f"{model}.pbtxt")
    return text_format.Parse(file.read_text(encoding="utf-8"), ModelConfig())
