"""The locked requirements: there for each extra, as ``pyproject.toml`` asks, from any index, of one set of versions."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
ENVIRONMENTS = [
    {"python_version": version, "python_full_version": f"{version}.0", **system}
    for version in ("3.11", "3.12", "3.13", "3.14")
    for system in (
        {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
        {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
    )
]


def asked(extra: str, environment: dict[str, str]) -> list[Requirement]:
    """What a lock is to hold in an environment: of an extra also what the package and other extras bring."""
    found = []
    for requirement in map(Requirement, GROUPS.get(extra) or [*PROJECT["dependencies"], *EXTRAS[extra]]):
        if not holds(requirement, environment):
            continue
        if requirement.name == "ctpdeploy":
            found += [one for name in sorted(requirement.extras) for one in asked(name, environment)]
        else:
            found.append(requirement)
    return found


def locked(extra: str) -> list[str]:
    """Entries of the lock of an extra, each in one line."""
    text = (ROOT / "requirements" / f"{extra}.txt").read_text(encoding="utf-8")
    return [line for line in text.replace("\\\n", " ").splitlines() if not line.startswith("#")]


def holds(requirement: Requirement, environment: dict[str, str]) -> bool:
    """Whether it is asked for in an environment."""
    return requirement.marker is None or requirement.marker.evaluate(environment)


def pins(lines: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Versions by the names of packages."""
    entries = [Requirement(line.split(" --hash")[0]) for line in lines]
    chosen = [(canonicalize_name(one.name), str(one.specifier)) for one in entries if holds(one, environment)]
    assert len(dict(chosen)) == len(chosen), "a package is locked twice"
    return {name: version.removeprefix("==") for name, version in chosen}


def test_each_extra_has_a_lock_and_nothing_else_has_but_the_tools():
    assert {file.stem for file in (ROOT / "requirements").iterdir()} == {*EXTRAS, *GROUPS}


@pytest.mark.parametrize("extra", [*EXTRAS, *GROUPS])
def test_a_lock_pins_every_package_by_hashes_and_names_no_index(extra: str):
    lines = locked(extra)
    entry = re.compile(r"[\w.-]+==[\w.+]+( ; [^:/@]+)?( +--hash=sha256:[0-9a-f]{64})+")
    assert lines
    assert [line[:80] for line in lines if not entry.fullmatch(line)] == []


@pytest.mark.parametrize("extra", [*EXTRAS, *GROUPS])
def test_a_lock_holds_what_the_extra_asks_for(extra: str):
    lines = locked(extra)
    for environment in ENVIRONMENTS:
        versions = pins(lines, environment)
        for requirement in asked(extra, environment):
            version = versions.get(canonicalize_name(requirement.name))
            assert version in requirement.specifier, f"make locks: {extra} asks for {requirement}"


def test_locks_can_be_installed_together():
    """Whoever needs several extras takes the lock of each: no package has two versions in an environment."""
    constraints = pins((ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(), ENVIRONMENTS[0])
    for environment in ENVIRONMENTS:
        versions = dict(constraints)
        for extra in EXTRAS:
            for name, version in pins(locked(extra), environment).items():
                assert versions.setdefault(name, version) == version, f"{name} in {extra}"
