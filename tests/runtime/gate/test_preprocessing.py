"""No setting in ``bundle.json`` that changes a result can change unseen, not even with a new seal."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import bundles

from ctpdeploy.cli import run
from ctpdeploy.errors import CtpdeployError, ExitCode, GateError
from ctpdeploy.runtime import Bundle, Pipeline
from ctpdeploy.runtime.bundle.manifest import manifest_schema
from ctpdeploy.runtime.gate.inspection import inspect_bundle, repeat_gate
from ctpdeploy.runtime.gate.preprocessing import PreprocessingTrial, require_preprocessing, try_preprocessing
from ctpdeploy.runtime.gate.reference import FILE, Reference, raw_case_in

SETTINGS = ("preprocess", "perfusion")

RECORDS = re.compile(
    r"(schema|digest|intended_use|licence|system|(provenance|card)\..*|networks\.\w+\.(parameters|nodes))$"
)
"""What says something of the networks and is never computed with."""

Place = tuple[str | int, ...]


def places(content: Any, place: Place = ()) -> Iterator[Place]:
    """Of every value that is no object and no list."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from places(value, (*place, key))
    else:
        yield place


def changed(value: Any) -> Any:
    """Another value that the schema takes too."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return 0.5 * value or 1.0
        case str() if re.fullmatch("[0-9a-f]{64}", value):
            return value[::-1]
        case str():
            kinds = [
                kind
                for kinds in re.findall(r"\^\(([\w|]+)\)\$", json.dumps(manifest_schema()))
                for kind in [kinds.split("|")]
            ]
            (others,) = [kind for kind in kinds if value in kind] or [[f"{value}x"]]
            return next(other for other in others if other != value)
    raise AssertionError(f"a value of a kind that is not tried: {value!r}")


def change(content: Any, place: Place) -> None:
    for key in place[:-1]:
        content = content[key]
    content[place[-1]] = changed(content[place[-1]])


def verify(folder: Path) -> None:
    inspect_bundle(folder)
    repeat_gate(folder, "ort-cpu")


@pytest.fixture
def folder(tmp_path: Path, bundle_folder: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "small.ctpbundle"))


def test_every_setting_of_the_schema_stands_in_a_bundle(folder: Path):
    content, schema = json.loads((folder / "bundle.json").read_text()), manifest_schema()["properties"]
    assert set(content) == set(schema)
    for section in SETTINGS:
        assert set(content[section]) == set(schema[section]["properties"])


def test_no_value_changes_unseen(folder: Path, subtests: Any):
    verify(folder)
    whole = (folder / "bundle.json").read_bytes()
    found = [place for place in places(json.loads(whole)) if not RECORDS.match(".".join(map(str, place)))]
    assert len(found) > 80
    for place in found:
        (folder / "bundle.json").write_bytes(whole)
        bundles.edit_manifest(folder, lambda content, place=place: change(content, place))
        with subtests.test(place=place), pytest.raises(CtpdeployError) as stop:
            verify(folder)
        assert stop.value.exit_code in (ExitCode.INPUT, ExitCode.GUARD), place


def settings() -> list[Place]:
    properties = manifest_schema()["properties"]
    named = {
        (section, name): properties[section]["properties"][name]
        for section in SETTINGS
        for name in properties[section]["properties"]
    }
    return [
        (*place, i) if "maxItems" in schema else place
        for place, schema in named.items()
        for i in range(schema.get("maxItems", 1))
    ]


@pytest.mark.parametrize("place", settings(), ids=str)
def test_no_setting_changes_unseen_where_the_provenance_is_changed_too(folder: Path, place: Place):
    """The raw case alone tells."""

    def everywhere(content: dict[str, Any]) -> None:
        change(content, place)
        for section in SETTINGS:
            content["provenance"]["config"][section] = content[section]

    bundles.edit_manifest(folder, everywhere)
    with pytest.raises(CtpdeployError, match=r"preprocessing") as stop:
        verify(folder)
    assert stop.value.exit_code in (ExitCode.INPUT, ExitCode.GUARD)


def without_provenance(content: dict[str, Any]) -> None:
    content["preprocess"]["time_window"] = 30.0
    del content["provenance"]["config"]


def test_a_changed_time_window_is_refused_before_a_case_is_read(folder: Path, capsys: pytest.CaptureFixture[str]):
    bundles.edit_manifest(folder, without_provenance)
    with pytest.raises(GateError, match=r"makes other inputs of its raw case .*\(mtt is off by 0\.\d+; tmax is off"):
        Pipeline.open(folder, "ort-cpu")
    for command in (["verify", str(folder)], ["warmup", str(folder)]):
        assert run(command) == ExitCode.GUARD
        assert "The preprocessing of " in capsys.readouterr().err


def test_it_says_what_held(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["verify", str(folder), "--backend", "ort-cpu", "--json"]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)
    inputs = {"frames", "cbf", "cbv", "mtt", "tmax", "mip", "dwi", "slabs", "threshold"}
    assert set(found["preprocessing"]["inputs"]) == inputs
    assert max(found["preprocessing"]["inputs"].values()) == 0.0
    assert set(found["preprocessing"]["maps"]) == {"cbf", "cbv", "mtt", "tmax"}
    assert found["raw_case"] == {"backend": "ort-cpu", "flips": 0, "dice": 1.0, "least_dice": None}
    assert run(["verify", str(folder), "--backend", "ort-cpu"]) == ExitCode.DONE
    assert "and ort-cpu draws the same mask from its voxels on" in " ".join(capsys.readouterr().err.split())


def test_a_bundle_without_a_raw_case_says_so_and_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    older = bundles.write_bundle(tmp_path / "older.ctpbundle")
    with Bundle.open(older) as bundle:
        assert raw_case_in(bundle) is None
        require_preprocessing(bundle)
    assert run(["verify", str(older)]) == ExitCode.DONE
    assert "does not cover preprocessing: export the bundle again" in " ".join(capsys.readouterr().err.split())
    assert run(["verify", str(older), "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["preprocessing"] is None


def test_a_backend_that_draws_another_mask_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """As one that prepares cases itself, on a device, and does it wrongly."""
    from ctpdeploy.runtime.gate import preprocessing

    def mirrored(*given: Any) -> Any:
        outputs = run_case(*given)
        return type(outputs)(**{**vars(outputs), "mask": ~outputs.mask})

    run_case = preprocessing.run_case
    monkeypatch.setattr(preprocessing, "run_case", mirrored)
    with pytest.raises(GateError, match=r"ort-cpu draws another mask from the raw voxels on \(Dice 0\.0"):
        repeat_gate(folder, "ort-cpu")


def test_nan_does_not_hold():
    trial = PreprocessingTrial(inputs={"frames": np.nan}, maps={"cbf": np.nan})
    assert trial.failures() == ["frames is off by nan", "CBF computed from the series is off by nan of itself"]


def test_maps_that_cannot_be_computed_do_not_hold(folder: Path):
    with Bundle.open(folder) as bundle:
        raw = Reference.load(folder / FILE, called=folder).raw
    assert raw is not None
    raw.case.series[:] = 0
    trial = try_preprocessing(bundle, raw)
    assert set(trial.maps.values()) == {np.inf}
    assert len(trial.failures()) > 4
