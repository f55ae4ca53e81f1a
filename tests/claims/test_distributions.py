"""Distributions beside the repository: what is missing, left over, changed or tagged as no index takes it is told."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from distributions import KERNELS, Distributions, faults, find

PYPROJECT = b'[tool.hatch.build.targets.wheel]\npackages = ["ctpdeploy"]\nexclude = ["ctpdeploy/emulator"]\n'
REPOSITORY = {
    "pyproject.toml": PYPROJECT,
    "LICENSE": b"terms",
    "ctpdeploy/__init__.py": b"",
    "ctpdeploy/emulator/__init__.py": b"",
    "ctpdeploy/runtime/kernels.fatbin": b"\0",
    "tests/test_all.py": b"",
}
DESCRIPTION = b"Name: ctpdeploy\nLicense-File: LICENSE\n\n[index](https://index.example) of (`docs/index.md`)\n"
IN_WHEELS = {"ctpdeploy/__init__.py", "ctpdeploy/runtime/kernels.fatbin"}
TAG = "py3-none-manylinux_2_27_x86_64"


def metadata(description: bytes = DESCRIPTION, tag: str = TAG) -> dict[str, bytes]:
    """Of a wheel."""
    files = {"METADATA": description, "WHEEL": f"Tag: {tag}\n".encode(), "licenses/LICENSE": b"terms"}
    return {f"ctpdeploy-1.dist-info/{name}": content for name, content in files.items()}


def make(folder: Path, *, tag: str = TAG, **changed: dict[str, bytes | None]) -> Distributions:
    """The three forms, with changes in ``sdist``, ``kernels`` and ``pure``: contents, or None for no such file."""
    package = {name: REPOSITORY[name] for name in IN_WHEELS}
    contents: dict[str, dict[str, bytes | None]] = {
        "sdist": {**REPOSITORY, "PKG-INFO": DESCRIPTION},
        "kernels": {**package, KERNELS: b"ELF", **metadata(tag=tag)},
        "pure": {**package, **metadata(tag="py3-none-any")},
    }
    with tarfile.open(folder / "ctpdeploy-1.tar.gz", "w:gz") as archive:
        for name, content in {**contents["sdist"], **changed.get("sdist", {})}.items():
            if content is not None:
                member = tarfile.TarInfo(f"ctpdeploy-1/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    for form, its_tag in (("kernels", tag), ("pure", "py3-none-any")):
        with zipfile.ZipFile(folder / f"ctpdeploy-1-{its_tag}.whl", "w") as wheel:
            for name, content in {**contents[form], **changed.get(form, {})}.items():
                if content is not None:
                    wheel.writestr(name, content)
    return find(folder)


def test_nothing_is_said_of_what_is_whole(tmp_path: Path):
    assert faults(make(tmp_path), set(REPOSITORY)) == []


@pytest.mark.parametrize(
    ("form", "name", "content", "said"),
    [
        ("sdist", "tests/test_all.py", None, "the sdist lacks tests/test_all.py of the repository"),
        ("sdist", "patient.nii", b"", "the sdist has patient.nii, and the repository has not"),
        ("pure", "ctpdeploy/__init__.py", None, "the pure wheel lacks ctpdeploy/__init__.py of the sdist"),
        ("pure", KERNELS, b"ELF", f"the pure wheel has {KERNELS}, and the sdist has not"),
        ("kernels", KERNELS, None, f"the wheel with kernels lacks {KERNELS} of the sdist"),
        ("kernels", "ctpdeploy/emulator/__init__.py", b"", "the wheel with kernels has ctpdeploy/emulator/__init"),
        ("kernels", "ctpdeploy/__init__.py", b"1", "ctpdeploy/__init__.py is another file in ctpdeploy-1-py3-none"),
        ("pure", "ctpdeploy-1.dist-info/METADATA", b"", "a wheel says other things of itself than the sdist does"),
        ("pure", "ctpdeploy-1.dist-info/licenses/LICENSE", None, "a wheel lacks the licence LICENSE"),
        ("kernels", "ctpdeploy-1.dist-info/WHEEL", b"Tag: py3-none-linux_x86_64", "linux_x86_64 is none that an index"),
        ("kernels", "ctpdeploy-1.dist-info/WHEEL", b"", "the wheel with kernels has no tag"),
        ("kernels", "ctpdeploy-1.dist-info/WHEEL", b"Tag: py3-none-manylinux_2_28_x86_64", "is not named by its tag"),
    ],
)
def test_a_fault_is_told(tmp_path: Path, form: str, name: str, content: bytes | None, said: str):
    (found,) = faults(make(tmp_path, **{form: {name: content}}), set(REPOSITORY))
    assert said in found


def test_kernels_for_young_systems_alone_are_told(tmp_path: Path):
    (found,) = faults(make(tmp_path, tag="py3-none-manylinux_2_35_x86_64"), set(REPOSITORY))
    assert "the kernels need glibc 2.35" in found


def test_links_into_the_repository_are_told(tmp_path: Path):
    linked = DESCRIPTION + b"[the\nindex](docs/index.md)\n"
    one = {"ctpdeploy-1.dist-info/METADATA": linked}
    (found,) = faults(make(tmp_path, sdist={"PKG-INFO": linked}, kernels=one, pure=one), set(REPOSITORY))
    assert found == "the description has a link that leads nowhere: docs/index.md"


@pytest.mark.parametrize("extra", ["ctpdeploy-2.tar.gz", "ctpdeploy-1-py3-none-linux_x86_64.whl"])
def test_a_folder_of_other_files_is_refused(tmp_path: Path, extra: str):
    make(tmp_path)
    (tmp_path / extra).touch()
    with pytest.raises(FileNotFoundError, match=rf"holds .*{extra}.*: make wheels"):
        find(tmp_path)
