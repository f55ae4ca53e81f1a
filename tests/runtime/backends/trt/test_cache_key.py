import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.backends.trt import cache_key
from ctpdeploy.runtime.backends.trt.cache_key import user_signing_key


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ctpdeploy" / "engine-secret"


def test_the_secret_is_made_once_and_private(file: Path, tmp_path: Path):
    secret = user_signing_key(file)
    assert len(secret) == 32
    assert user_signing_key(file) == secret
    assert user_signing_key(tmp_path / "other") != secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def link(file: Path) -> None:
    file.symlink_to(file.rename(file.with_name("elsewhere")))


@pytest.mark.parametrize(
    "spoil",
    [lambda file: file.chmod(0o640), lambda file: os.truncate(file, 31), lambda file: file.write_bytes(b""), link],
)
def test_a_secret_that_is_exposed_or_damaged_is_replaced(file: Path, spoil: Callable[[Path], None]):
    secret = user_signing_key(file)
    spoil(file)
    replaced = user_signing_key(file)
    assert replaced != secret
    assert user_signing_key(file) == replaced
    assert not file.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o600


def test_processes_that_make_it_at_once_agree(file: Path):
    code = (
        "import sys, pathlib\nfrom ctpdeploy.runtime.backends.trt.cache_key import user_signing_key\nsys.stdin.read()\n"
        "print(user_signing_key(pathlib.Path(sys.argv[1])).hex())"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.close()
    answers = {process.stdout.read() for process in processes}
    assert [process.wait() for process in processes] == [0] * 3
    for process in processes:
        process.stdout.close()
    assert len(answers) == 1


def test_a_process_that_was_first_keeps_its_secret(file: Path, monkeypatch: pytest.MonkeyPatch):
    """There was none when this process looked, and one when it made its own."""
    read, others = cache_key._read, []

    def slow(path: Path) -> bytes | None:
        found = read(path)
        if not others:
            others.append(None)
            others.append(user_signing_key(path))
        return found

    monkeypatch.setattr(cache_key, "_read", slow)
    assert user_signing_key(file) == others[1]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="engine-secret cannot be made"):
        user_signing_key(tmp_path / "taken" / "engine-secret")
