"""The published schema: real manifests hold it, wrong ones do not, and two implementations of it agree."""

import copy
import dataclasses
import json
import random
from pathlib import Path
from typing import Any, get_args, get_type_hints

import jsonschema
import pytest
from support import bundles

from ctpdeploy.config import to_dict
from ctpdeploy.errors import InputError
from ctpdeploy.runtime.bundle.bundle import Bundle, FileDigest, Network
from ctpdeploy.runtime.bundle.json_schema import first_error
from ctpdeploy.runtime.bundle.manifest import SCHEMA, manifest_schema, read_manifest, seal_manifest
from ctpdeploy.runtime.data.model_card import ModelCard
from ctpdeploy.runtime.data.perfusion_config import PerfusionConfig
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

ODD: tuple[Any, ...] = (None, True, False, 0, -1, 1, 1.0, 2, 0.5, 10**12, "", "N", "a", "A.onnx", "con", "con.onnx",
    "../a.onnx", "x" * 300, "0" * 64, [], ["N"], ["N", 1, 1], ["N", 1, 1, 1, 1], ["a", 5, 6], [1, 2], [0, 99999],
    {}, {"a": 1}, {"features": ["N", 5, 6, 7]}, {"ctpdeploy": 1})  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = bundles.write_bundle(tmp_path_factory.mktemp("schema") / "small.ctpbundle")
    return json.loads((folder / "bundle.json").read_text())


LATER = {"dwi_clipped", "frame_means", "least_slice_mm", "pixel_mm", "threshold"}
"""Constants that bundles of the same schema may lack."""


def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(manifest_schema())


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container and key inside a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def test_the_schema_is_one_and_states_its_version():
    jsonschema.Draft202012Validator.check_schema(manifest_schema())
    assert manifest_schema()["$id"] == f"urn:ctpdeploy:bundle:{SCHEMA}"


def test_it_names_what_the_code_keeps():
    schema = manifest_schema()
    for required, kind in (
        (schema["properties"]["preprocess"], PreprocessConfig),
        (schema["properties"]["perfusion"], PerfusionConfig),
        (schema["properties"]["card"], ModelCard),
        (schema["$defs"]["network"], Network),
        (schema["properties"]["files"]["additionalProperties"], FileDigest),
    ):
        names = {field.name for field in dataclasses.fields(kind)}
        assert set(required["required"]) | LATER == names | LATER
        assert names == set(required["properties"])


def test_real_manifests_hold_it(bundle_folder: Path):
    content = json.loads((bundle_folder / "bundle.json").read_text())
    validator().validate(content)
    assert first_error(content, manifest_schema()) is None
    assert content["system"] == "dwi_olh"
    assert content["licence"] is None
    assert "Research use only" in content["intended_use"]


def test_two_implementations_agree_on_wrong_manifests(manifest: dict[str, Any]):
    """One thing changed, removed or added anywhere, 300 times."""
    chance, other, refused = random.Random(4), validator(), 0
    assert first_error(manifest, manifest_schema()) is None
    for _ in range(300):
        content = copy.deepcopy(manifest)
        container, key = chance.choice(places(content))
        odd = copy.deepcopy(chance.choice(ODD))
        if chance.random() < 0.15:
            del container[key]
        elif chance.random() < 0.2 and isinstance(container, dict):
            container[chance.choice(["a", "B", "../x.json", "con", "x.json"])] = odd
        else:
            container[key] = odd
        found = first_error(content, manifest_schema())
        assert (found is None) == other.is_valid(content), (found, container, key, odd)
        refused += found is not None
    assert refused > 200


@pytest.mark.parametrize("name", ["con", "com1", "pipeline\n", "Pipeline", "../a", "a/b", "", "a" * 50, "é"])
def test_names_that_no_network_has(manifest: dict[str, Any], name: str):
    content = copy.deepcopy(manifest)
    content["networks"][name] = content["networks"]["segmenter"]
    assert first_error(content, manifest_schema())


def test_a_keyword_that_is_not_known_is_not_passed_over():
    with pytest.raises(NotImplementedError, match="uniqueItems"):
        first_error([], {"uniqueItems": True})


@pytest.mark.parametrize("tmax", get_args(get_type_hints(PerfusionConfig)["tmax"]))
@pytest.mark.parametrize("method", get_args(get_type_hints(PerfusionConfig)["method"]))
def test_how_maps_are_computed_travels(tmp_path: Path, method: str, tmax: str):
    folder, settings = bundles.write_bundle(tmp_path / "small.ctpbundle"), {"method": method, "tmax": tmax}
    bundles.edit_manifest(folder, lambda content: content["perfusion"].update(settings, threshold=0.07))
    assert Bundle.open(folder).perfusion == PerfusionConfig(threshold=0.07, **settings)  # type: ignore[arg-type]


def test_bundles_from_before_there_was_a_choice_compute_maps_as_then(tmp_path: Path):
    folder = bundles.write_bundle(tmp_path / "small.ctpbundle")
    bundles.edit_manifest(folder, lambda content: content.pop("perfusion"))
    assert to_dict(Bundle.open(folder).perfusion.stated()) == {
        "method": "tsvd",
        "threshold": 0.1,
        "smoothing_fwhm_mm": 4.0,
        "tmax": "maximum",
        "vof_scaling": True,
        "least_slice_mm": 4.0,
    }


@pytest.mark.parametrize(
    "wrong", [{"method": "svd"}, {"tmax": "centre"}, {"threshold": 0}, {"threshold": None}, {"fwhm": 1}]
)
def test_settings_of_maps_that_are_none_are_refused(tmp_path: Path, wrong: dict[str, Any]):
    folder = bundles.write_bundle(tmp_path / "small.ctpbundle")
    bundles.edit_manifest(folder, lambda content: content["perfusion"].update(wrong))
    with pytest.raises(InputError, match=f"perfusion.{next(iter(wrong))}"):
        Bundle.open(folder)


def test_constants_of_another_type_are_refused(tmp_path: Path):
    """JSON takes 64.0 for an integer; the preprocessing does not."""
    folder = bundles.write_bundle(tmp_path / "small.ctpbundle")
    bundles.edit_manifest(folder, lambda content: content["preprocess"].update(run_length=5.0))
    with pytest.raises(ValueError, match="run_length"):
        Bundle.open(folder)


def test_no_edit_goes_unseen(tmp_path: Path):
    """One thing changed, removed or added anywhere, 400 times; what is valid by the schema too."""
    folder = bundles.write_bundle(tmp_path / "small.ctpbundle")
    sealed = (folder / "bundle.json").read_text()
    chance, unseen = random.Random(5), 0
    assert read_manifest(folder, folder)["digest"] == json.loads(sealed)["digest"]
    for _ in range(400):
        content = json.loads(sealed)
        container, key = chance.choice(places(content))
        before = copy.deepcopy(container[key])
        if isinstance(before, bool) or not isinstance(before, int | float):
            container[key] = copy.deepcopy(chance.choice(ODD))
        else:
            container[key] = before + chance.choice([1, -1, 0.5])
        if container[key] == before:
            continue
        (folder / "bundle.json").write_text(json.dumps(content))
        with pytest.raises(InputError):
            read_manifest(folder, folder)
        content.pop("digest", None)
        unseen += first_error(content, manifest_schema()) is None
    assert unseen > 50, "of what the schema alone lets pass"


def test_bundles_made_before_there_was_a_digest_are_read(tmp_path: Path):
    folder = bundles.write_bundle(tmp_path / "small.ctpbundle")
    content = json.loads((folder / "bundle.json").read_text())
    del content["digest"]
    (folder / "bundle.json").write_text(json.dumps(content))
    assert read_manifest(folder, folder) == content
    (folder / "bundle.json").write_text(json.dumps(seal_manifest(content), sort_keys=True))
    assert read_manifest(folder, folder)["digest"]
    content["preprocess"]["frames"] = 8
    (folder / "bundle.json").write_text(json.dumps({**content, "digest": seal_manifest({})["digest"]}))
    with pytest.raises(InputError, match="was changed after it was sealed"):
        read_manifest(folder, folder)
