"""The image that ships: of this source, for these architectures, without spills."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.cuda import build, fatbin
from ctpdeploy.runtime.backends.cuda.build import (
    ARCHITECTURES,
    NVCC_OPTIONS,
    build_fatbin,
    nvcc_version,
)
from ctpdeploy.runtime.backends.cuda.fatbin import FATBIN, RECORD, SOURCE, read_fatbin, sha256

KERNELS = set(re.findall(r"__global__ void (?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", SOURCE.read_text()))
ENTRY = re.compile(
    r"Compiling entry function '(?P<kernel>\w+)' for 'sm_(?P<architecture>\d+)'.*?"
    r"(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The image compiled here, and what the compiler said."""
    if shutil.which("nvcc") is None:
        pytest.skip("There is no nvcc: the kernels cannot be compiled for GPUs here.")
    image = tmp_path_factory.mktemp("image") / "kernels.fatbin"
    return SimpleNamespace(image=image, said=build_fatbin(image))


@pytest.mark.slow
def test_every_kernel_compiles_for_every_architecture_without_spills(
    built: SimpleNamespace, capsys: pytest.CaptureFixture[str]
):
    found = [match.groupdict() for match in ENTRY.finditer(built.said)]
    with capsys.disabled():
        sys.stdout.write("\nregisters of a thread and bytes that it spills")
        for entry in sorted(found, key=lambda entry: (entry["kernel"], int(entry["architecture"]))):
            start = f"\n{entry['kernel']:22}" if entry["architecture"] == str(ARCHITECTURES[0]) else ""
            spilled = int(entry["stores"]) + int(entry["loads"])
            sys.stdout.write(f"{start} sm_{entry['architecture']} {entry['registers']}+{spilled}")
    assert len(KERNELS) == 12
    assert {(entry["kernel"], int(entry["architecture"])) for entry in found} == {
        (kernel, architecture) for kernel in KERNELS for architecture in ARCHITECTURES
    }
    assert not [entry for entry in found if entry["stores"] != "0" or entry["loads"] != "0"]
    assert "warning" not in built.said


@pytest.mark.slow
def test_the_image_that_ships_is_what_its_source_compiles_to(built: SimpleNamespace):
    recorded, here = json.loads(RECORD.read_text())["nvcc"], nvcc_version()
    if here != recorded:
        pytest.skip(f"nvcc is {here}, the image was made by {recorded}: their output differs.")
    assert built.image.read_bytes() == FATBIN.read_bytes()


def test_the_record_is_of_this_source_and_these_options():
    record = json.loads(RECORD.read_text())
    assert record["source"] == sha256(SOURCE.read_bytes())
    assert record["options"] == list(NVCC_OPTIONS)
    assert record["fatbin"] == sha256(read_fatbin())
    assert FATBIN.stat().st_size < 300_000


@pytest.mark.parametrize("changed", ["SOURCE", "FATBIN"])
def test_an_image_of_another_source_or_a_damaged_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: str
):
    copy = tmp_path / "changed"
    copy.write_bytes(getattr(fatbin, changed).read_bytes() + b" ")
    monkeypatch.setattr(fatbin, changed, copy)
    with pytest.raises(BackendError, match=r"does not belong to .*: install ctpdeploy again, or after a change"):
        read_fatbin()


def test_a_missing_image_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(fatbin, "FATBIN", tmp_path / "kernels.fatbin")
    with pytest.raises(BackendError, match=r"kernels are incomplete .*: install ctpdeploy again"):
        read_fatbin()


def test_building_writes_what_reading_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("FATBIN", "RECORD"):
        for where in (build, fatbin):
            monkeypatch.setattr(where, name, tmp_path / name)
    monkeypatch.setattr(build, "build_fatbin", lambda target: target.write_bytes(b"an image"))
    monkeypatch.setattr(build, "nvcc_version", lambda: "13.0.88")
    build.main()
    assert read_fatbin() == b"an image"


def test_compilers_that_are_missing_or_refuse_are_said_so(tmp_path: Path):
    with pytest.raises(BackendError, match=r"no-such-compiler cannot be run .*: install it"):
        build_fatbin(tmp_path / "kernels.fatbin", nvcc="no-such-compiler")
    with pytest.raises(BackendError, match="false does not compile the kernels"):
        build_fatbin(tmp_path / "kernels.fatbin", nvcc="false")
    with pytest.raises(BackendError, match="true does not say which version it is"):
        nvcc_version("true")
