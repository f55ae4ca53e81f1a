"""The repository for Triton, held against Triton's own definitions: of a configuration, and of its protocol."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support.bundles import write_bundle
from support.triton_models import NETWORK, ONNX, TENSORRT, config_of

from ctpdeploy import INTENDED_USE
from ctpdeploy.errors import InputError, UsageError
from ctpdeploy.export.triton import write_repository
from ctpdeploy.runtime import Bundle


def test_a_server_finds_one_folder_a_model_and_nothing_that_does_not_load(repository: Path, bundle_folder: Path):
    assert [path.name for path in repository.iterdir() if path.is_dir()] == [ONNX]
    assert sorted(path.name for path in repository.iterdir() if path.is_file()) == [
        "README.md", "build_plan.sh", "bundle.json", "client.py", f"{TENSORRT}.pbtxt", "verification.json"
    ]  # fmt: skip
    for name, source in {NETWORK: "pipeline.onnx", "bundle.json": "bundle.json"}.items():
        assert (repository / name).read_bytes() == (bundle_folder / source).read_bytes()


def test_the_readme_has_no_gaps_and_says_what_it_is_for(repository: Path):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert "@" not in readme
    assert INTENDED_USE in readme
    assert "| input | `frames` | `(N, 6, 64, 64)` |" in readme
    assert "| output | `probability` | `(N, 64, 64)` |" in readme


def test_an_existing_folder_and_a_damaged_bundle_are_refused(tmp_path: Path):
    (tmp_path / "there").mkdir()
    with Bundle.open(write_bundle(tmp_path / "bundle")) as bundle:
        with pytest.raises(UsageError, match="exists already"):
            write_repository(bundle, tmp_path / "there")
        (tmp_path / "bundle" / "pipeline.onnx").write_bytes(b"another network")
        with pytest.raises(InputError, match="not the file that was sealed"):
            write_repository(bundle, tmp_path / "models")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "there"]


@pytest.fixture
def copied(tmp_path: Path, repository: Path) -> Path:
    return shutil.copytree(repository, tmp_path / "models")


def build_plan(repository: Path, trtexec: str) -> subprocess.CompletedProcess[str]:
    """Run ``build_plan.sh`` with a trtexec of a few lines."""
    tools = repository.with_name("tools")
    tools.mkdir()
    (tools / "trtexec").write_text(f"#!/bin/sh\n{trtexec}\n")
    (tools / "trtexec").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", repository / "build_plan.sh"], env=environment, capture_output=True, text=True, check=False
    )


needs_sha256sum = pytest.mark.skipif(shutil.which("sha256sum") is None, reason="a command of Linux")


SAVE = 'for word; do case $word in --saveEngine=*) echo plan > "${word#*=}";; esac; done; printf "%s\\n" "$@" > ../told'


@needs_sha256sum
def test_the_script_builds_a_model_that_the_configuration_fits(copied: Path):
    result = build_plan(copied, SAVE)
    assert result.returncode == 0, result.stderr
    made = copied / TENSORRT
    assert (made / "1/model.plan").read_text() == "plan\n"
    assert (made / "config.pbtxt").read_bytes() == (copied / f"{TENSORRT}.pbtxt").read_bytes()
    assert not (copied / f"{TENSORRT}.plan").exists()
    words = (copied / "../told").read_text().split()
    assert {"--noTF32", "--stronglyTyped"} <= set(words)
    told = dict(word.removeprefix("--").split("=", 1) for word in words if "=" in word)
    assert told["onnx"] == NETWORK
    config = config_of(copied, TENSORRT)
    for bound, slices in {"min": 1, "opt": 8, "max": config.max_batch_size}.items():
        shapes = dict(one.split(":") for one in told[f"{bound}Shapes"].split(","))
        assert shapes == {tensor.name: "x".join(map(str, [slices, *tensor.dims])) for tensor in config.input}


@needs_sha256sum
@pytest.mark.parametrize(
    ("spoil", "trtexec", "code", "words"),
    [
        (lambda _: None, "echo half > ctp_pipeline_tensorrt.plan; exit 1", 1, ""),
        (lambda folder: (folder / NETWORK).write_bytes(b"another"), SAVE, 4, "not the network of the bundle"),
        (lambda folder: (folder / TENSORRT).mkdir(), SAVE, 2, "there already"),
    ],
    ids=["trtexec fails", "network", "there"],
)
def test_a_failed_build_leaves_no_model(
    copied: Path, spoil: Callable[[Path], object], trtexec: str, code: int, words: str
):
    spoil(copied)
    result = build_plan(copied, trtexec)
    assert result.returncode == code
    assert words in result.stderr
    assert not (copied / TENSORRT / "config.pbtxt").exists()
    assert not (copied / f"{TENSORRT}.plan").exists()
