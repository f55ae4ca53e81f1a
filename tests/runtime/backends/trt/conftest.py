from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
from support.small_networks import INPUTS, OUTPUTS


@pytest.fixture(scope="session")
def trt() -> ModuleType:
    return pytest.importorskip("tensorrt_rtx")


@pytest.fixture
def small_bundle() -> Callable[..., SimpleNamespace]:
    """What ``warm_up`` asks of a bundle, around a network."""

    def make(network: bytes) -> SimpleNamespace:
        sealed = SimpleNamespace(inputs=INPUTS, outputs=OUTPUTS)
        return SimpleNamespace(network_content=lambda _: network, networks={"pipeline": sealed})

    return make
