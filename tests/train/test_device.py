import pytest
import torch

from ctpdeploy.train.device import default_device
from ctpdeploy.train.distributed import join_processes


@pytest.mark.parametrize(("found", "device"), [(True, "cuda"), (False, "cpu")])
def test_by_default_a_gpu_is_used_where_there_is_one(monkeypatch: pytest.MonkeyPatch, found: bool, device: str) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found)
    assert default_device() == device
    with join_processes(None) as processes:
        assert processes.device == torch.device(device)
    with join_processes("cpu") as processes:
        assert processes.device == torch.device("cpu")
