from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from ctpdeploy.config import load, merge, parse_overrides, to_dict
from ctpdeploy.errors import UnknownKeyError, UsageError


@dataclass(frozen=True, kw_only=True)
class Inner:
    alpha: float = 1.0
    shape: tuple[int, int] = (2, 3)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    epochs: int = 3
    flag: bool = False
    mode: Literal["joint", "frozen"] = "joint"
    note: str | None = None
    inner: Inner = field(default_factory=Inner)


def test_layers_apply_in_order(tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text('epochs = 5\nmode = "frozen"\n[inner]\nalpha = 2\nshape = [4, 5]\n')
    config = load(Outer(), file, ["epochs=7", "inner.names=['a', 'b']", "note=plain text"])
    assert config == Outer(
        epochs=7, mode="frozen", note="plain text", inner=Inner(alpha=2.0, shape=(4, 5), names=("a", "b"))
    )
    assert isinstance(config.inner.alpha, float)


def test_a_configuration_survives_its_own_json_form():
    config = Outer(epochs=9, inner=Inner(shape=(8, 9)))
    assert merge(Outer(), to_dict(config)) == config


@pytest.mark.parametrize(
    ("override", "nearest"), [("epoch=3", "epochs"), ("inner.alhpa=1", "alpha"), ("inner.name=1", "names")]
)
def test_an_unknown_key_names_the_nearest_one(override: str, nearest: str):
    with pytest.raises(UnknownKeyError, match=f"did you mean '{nearest}'"):
        load(Outer(), None, [override])


@pytest.mark.parametrize(
    "override",
    [
        "epochs=2.5",
        "epochs=true",
        "flag=1",
        "mode=both",
        "inner.shape=[1]",
        "inner.shape=[1.5, 2]",
        "inner=3",
        "epochs",
    ],
)
def test_a_value_of_the_wrong_kind_is_refused(override: str):
    with pytest.raises(UsageError):
        load(Outer(), None, [override])


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path):
    file = tmp_path / "run.toml"
    file.write_text("epochs = = 3")
    with pytest.raises(UsageError, match=r"run\.toml"):
        load(Outer(), file)


def test_overrides_nest():
    assert parse_overrides(["a.b.c=1", "a.b.d=x"]) == {"a": {"b": {"c": 1, "d": "x"}}}
