from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from small_networks import INPUTS, OUTPUTS


@pytest.fixture(scope="session")
def trt() -> ModuleType:
    return pytest.importorskip("tensorrt_rtx")


@pytest.fixture
def small_bundle(tmp_path: Path) -> Callable[..., SimpleNamespace]:
    """What ``warm_up`` asks of a bundle, around a network."""

    def make(network: bytes) -> SimpleNamespace:
        file = tmp_path / "pipeline.onnx"
        file.write_bytes(network)
        sealed = SimpleNamespace(inputs=INPUTS, outputs=OUTPUTS)
        return SimpleNamespace(network_file=lambda _: file, networks={"pipeline": sealed})

    return make
