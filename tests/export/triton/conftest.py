from pathlib import Path

import pytest
from support.triton_models import ONNX, TENSORRT

from ctpdeploy.export.triton import write_repository
from ctpdeploy.runtime import Bundle


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, bundle_folder: Path) -> Path:
    out = tmp_path_factory.mktemp("served") / "models"
    with Bundle.open(bundle_folder) as bundle:
        assert write_repository(bundle, out) == (ONNX, TENSORRT)
    return out
