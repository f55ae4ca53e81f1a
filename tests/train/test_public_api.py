import importlib

import pytest


@pytest.mark.parametrize(
    "name",
    [f"ctpdeploy.train{part}" for part in ("", ".networks", ".losses", ".reproduction", ".reproduction.figures")],
)
def test_all_is_complete_and_exists(name: str) -> None:
    module = importlib.import_module(name)
    assert sorted(module.__all__) == sorted(set(module.__all__))
    assert all(hasattr(module, member) for member in module.__all__)
