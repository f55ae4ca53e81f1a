"""The reference travels, is read with care, and lets a workstation pass the gate again."""

import dataclasses
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from support import bundles

from ctpdeploy.errors import InputError
from ctpdeploy.runtime.gate.reference import FILE, Reference


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundles.write_bundle(tmp_path / "small.ctpbundle")


def load(folder: Path) -> Reference:
    return Reference.load(folder / FILE, called=Path("their.ctpbundle") / FILE)


def test_it_comes_back_as_it_went(folder: Path):
    expected, got = bundles.reference(), load(folder)
    for name in ("frames", "features", "eager_flips"):
        np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
    for name, array in expected.outputs.items():
        np.testing.assert_array_equal(got.outputs[name], array)
        np.testing.assert_array_equal(got.eager[name], expected.eager[name])
    assert len(got.first(1)) == 1


def test_the_unit_of_error_is_eagers_but_at_least_rounding():
    reference = bundles.reference()
    error = np.array([[3e-6, 5e-6], [4e-6, 2e-5]])
    known = dataclasses.replace(reference, eager={**reference.eager, "chain": error})
    assert known.unit("chain") == pytest.approx((np.sqrt((9 + 16) / 2) * 1e-6, 2e-5))
    perfect = dataclasses.replace(reference, eager={**reference.eager, "chain": np.zeros((2, 2))})
    least = np.finfo(np.float32).eps * np.abs(reference.outputs["chain"]).max() / 2
    assert perfect.unit("chain") == (least, least)


Spoil = Callable[[dict[str, np.ndarray], Path], object]


def with_array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    return lambda arrays, path: save_file({**arrays, name: np.ascontiguousarray(change(arrays[name]))}, path)


def without(name: str) -> Spoil:
    return lambda arrays, path: save_file({n: a for n, a in arrays.items() if n != name}, path)


def lying_header(_: dict[str, np.ndarray], path: Path) -> None:
    """Says that it is as large as no machine's memory."""
    size = 10**9
    header = {"frames": {"dtype": "F32", "shape": [size, size], "data_offsets": [0, 4 * size * size]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)


DAMAGE: dict[str, tuple[Spoil, str]] = {
    "cut off": (lambda _, path: path.write_bytes(path.read_bytes()[:-100]), "deserializing header"),
    "empty": (lambda _, path: path.write_bytes(b""), "deserializing header"),
    "a pickle": (lambda _, path: path.write_bytes(pickle.dumps({})), "deserializing header"),
    "immense": (lying_header, "deserializing header"),
    "NaN": (with_array("outputs/chain", lambda a: a * np.nan), "its chain are not finite"),
    "another size": (with_array("features", lambda a: a[..., :-1]), "its features are float32"),
    "another type": (with_array("frames", lambda a: a.astype(np.float64)), "its frames are float64"),
    "another rank": (with_array("frames", lambda a: a[0, 0, 0]), "not enough values"),
    "fewer slices": (with_array("outputs/chain", lambda a: a[:1]), "its chain are float64"),
    "no slices": (with_array("frames", lambda a: a[:0]), "its frames are float32"),
    "no error": (without("eager/segmenter"), "segmenter"),
    "no probability": (without("outputs/chain"), "it has no probability"),
    "no frames": (without("frames"), "frames"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_refused_in_a_sentence(folder: Path, damage: str):
    spoil, message = DAMAGE[damage]
    spoil(load_file(folder / FILE), folder / FILE)
    with pytest.raises(InputError, match=message) as stop:
        load(folder)
    assert str(stop.value).startswith("their.ctpbundle/reference.safetensors is damaged (")
