"""What an index would get is the repository, whole, with the same Python in each form, and each form can be installed.

Of a folder with the sdist, the wheel with the kernels and the one without, as ``make wheels`` leaves it: the sdist
holds what git does; the wheels, which were made of it, hold its package and nothing else, byte by byte; the kernels'
tag is one that an index takes, for systems as old as ``YOUNGEST``; and each, installed where nothing else is,
says of the backend ``native`` what is true.

    python claims/distributions.py dist
"""

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["Distributions", "Installation", "faults", "find", "install", "tracked_files"]

HERE: Final = Path(__file__).parents[1]

KERNELS: Final = "ctpdeploy/runtime/backends/native/libkernels.so"
YOUNGEST: Final = 28
"""Of glibc 2, that of RHEL 8: older ones have no wheels of ONNX Runtime either."""

_ANY: Final = "py3-none-any"
_MANYLINUX: Final = re.compile(r"py3-none-manylinux_2_(\d+)_x86_64")
_LINK: Final = re.compile(r"\]\((?!https?://)([^)\s]+)")
_MADE_BY_BUILDING: Final = {"PKG-INFO"}


@dataclass(frozen=True, kw_only=True)
class Distributions:
    """The three forms of one version.

    Attributes:
        sdist: for whoever compiles.
        kernels: the wheel for Linux on x86-64.
        pure: the wheel for all others.
    """

    sdist: Path
    kernels: Path
    pure: Path


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A form, installed.

    Attributes:
        file: its name.
        native: why the backend ``native`` cannot run in it, or None if it can.
        without_kernels: whether it says that it has none.
    """

    file: str
    native: str | None
    without_kernels: bool


def find(folder: Path) -> Distributions:
    """The three forms in a folder.

    Raises:
        FileNotFoundError: it holds more or fewer.
    """
    found = [
        sorted(file for file in folder.iterdir() if fnmatch.fnmatch(file.name, pattern))
        for pattern in ("*.tar.gz", "*-manylinux_*.whl", f"*-{_ANY}.whl")
    ]
    wheels = sorted(folder.glob("*.whl"))
    if [len(files) for files in found] != [1, 1, 1] or len(wheels) != 2:
        names = ", ".join(sorted(file.name for file in folder.iterdir()))
        raise FileNotFoundError(f"{folder} holds {names or 'nothing'}, and not one sdist and two wheels: make wheels.")
    (sdist,), (kernels,), (pure,) = found
    return Distributions(sdist=sdist, kernels=kernels, pure=pure)


def tracked_files(repository: Path = HERE) -> set[str]:
    """What git holds of a repository."""
    command = ["git", "-C", str(repository), "ls-files", "-z"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name}


def faults(made: Distributions, tracked: set[str]) -> list[str]:
    """A sentence for each thing that is not as it should be."""
    sdist, kernels, pure = _of_sdist(made.sdist), _of_wheel(made.kernels), _of_wheel(made.pure)
    package = {name: content for name, content in sdist.items() if _in_wheels(name, sdist)}
    found = [
        *_difference("the sdist", set(sdist) - _MADE_BY_BUILDING, "the repository", tracked),
        *_difference("the pure wheel", set(_without_metadata(pure)), "the sdist", set(package)),
        *_difference("the wheel with kernels", set(_without_metadata(kernels)), "the sdist", {*package, KERNELS}),
        *(
            f"{name} is another file in {file.name} than in the sdist"
            for file, wheel in ((made.pure, pure), (made.kernels, kernels))
            for name, content in package.items()
            if wheel.get(name, content) != content
        ),
    ]
    return found + _tag_faults(made.kernels, kernels) + _metadata_faults(sdist["PKG-INFO"], kernels, pure)


def install(file: Path, folder: Path) -> Installation:
    """Install a form where nothing else is, and ask it about the backend ``native``.

    Args:
        file: of which what it needs comes from an index.
        folder: for the environment.

    Raises:
        subprocess.CalledProcessError: it cannot be installed, or does not run.
    """
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, folder], check=True)
    subprocess.run([*uv, "pip", "install", "--python", folder, file], check=True)
    programs = folder / "bin"
    command = [programs / "python", "-I", programs / "ctpdeploy", "doctor", "--json"]  # -I: nothing of anywhere else
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    native = said["backends"]["native"]
    return Installation(file=file.name, native=native, without_kernels="no compiled kernels" in (native or ""))


def _of_sdist(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        members = [member for member in archive.getmembers() if member.isfile()]
        contents = {member.name.split("/", 1)[1]: archive.extractfile(member) for member in members}
        return {name: content.read() for name, content in contents.items() if content is not None}


def _of_wheel(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def _in_wheels(name: str, sdist: dict[str, bytes]) -> bool:
    wheel = tomllib.loads(sdist["pyproject.toml"].decode())["tool"]["hatch"]["build"]["targets"]["wheel"]
    path = PurePosixPath(name)
    return any(map(path.is_relative_to, wheel["packages"])) and not any(map(path.is_relative_to, wheel["exclude"]))


def _without_metadata(wheel: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in wheel.items() if ".dist-info/" not in name}


def _metadata(wheel: dict[str, bytes]) -> dict[str, bytes]:
    return {name.split(".dist-info/")[1]: content for name, content in wheel.items() if ".dist-info/" in name}


def _difference(ours: str, have: set[str], theirs: str, should: set[str]) -> list[str]:
    return [f"{ours} lacks {name} of {theirs}" for name in sorted(should - have)] + [
        f"{ours} has {name}, and {theirs} has not" for name in sorted(have - should)
    ]


def _tag_faults(file: Path, kernels: dict[str, bytes]) -> list[str]:
    tags = re.findall(r"^Tag: (.+?)\r?$", _metadata(kernels)["WHEEL"].decode(), re.MULTILINE)
    found = []
    for tag in tags:
        manylinux = _MANYLINUX.fullmatch(tag)
        if manylinux is None:
            found.append(f"the tag {tag} is none that an index takes")
        elif int(manylinux[1]) > YOUNGEST:
            found.append(f"the kernels need glibc 2.{manylinux[1]}, which is younger than 2.{YOUNGEST}")
        elif tag not in file.name:
            found.append(f"{file.name} is not named by its tag {tag}")
    return found if tags else ["the wheel with kernels has no tag"]


def _metadata_faults(of_sdist: bytes, *wheels: dict[str, bytes]) -> list[str]:
    found = [f"the description has a link that leads nowhere: {link}" for link in _LINK.findall(of_sdist.decode())]
    for metadata in map(_metadata, wheels):
        if metadata["METADATA"] != of_sdist:
            found.append("a wheel says other things of itself than the sdist does")
        listed = re.findall(r"^License-File: (.+?)\r?$", of_sdist.decode(), re.MULTILINE)
        found += [f"a wheel lacks the licence {name}" for name in listed if f"licenses/{name}" not in metadata]
    return found


def main() -> None:
    """Print what was found as a line of JSON; exit with 1 and a sentence for each fault."""
    parser = argparse.ArgumentParser(description="Whether distributions are whole, equal and can be installed.")
    parser.add_argument("folder", type=Path, help="that holds the sdist and the two wheels")
    made = find(parser.parse_args().folder)
    found = faults(made, tracked_files())
    installations = []
    for file in (made.sdist, made.kernels, made.pure):
        with tempfile.TemporaryDirectory() as folder:
            installations.append(install(file.absolute(), Path(folder)))
    pure = installations[-1]
    if not pure.without_kernels:
        found.append(f"{pure.file} does not say that it has no kernels: {pure.native}")
    found += [f"{one.file} has no kernels: {one.native}" for one in installations[:-1] if one.without_kernels]
    print(json.dumps({"installations": [asdict(one) for one in installations], "faults": found}))
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main()
