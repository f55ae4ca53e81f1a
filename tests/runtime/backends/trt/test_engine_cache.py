import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ctpdeploy.errors import BackendError, UsageError
from ctpdeploy.runtime.backends.trt.engine_cache import EngineCache, SpareCache, spare_engine_cache, user_engine_cache

KEY, OTHER = "a" * 64, "b" * 64
SECRET = bytes(range(32))
ENGINE = os.urandom(5000)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "deep" / "engines", SECRET)


def test_what_is_kept_comes_back(cache: EngineCache):
    assert cache.read(KEY) is None
    written = cache.write(KEY, {"precision": "fp32", "slices": (1, 2)}, ENGINE)
    assert written.content == ENGINE
    assert written.facts == {"precision": "fp32", "slices": [1, 2]}
    assert cache.read(KEY) == written
    assert cache.read(OTHER) is None
    assert [file.name for file in written.file.parent.iterdir()] == [f"{KEY}.engine"]
    assert written.file.stat().st_mode & 0o777 == 0o600


def test_a_new_entry_replaces_the_old_one(cache: EngineCache):
    cache.write(KEY, {}, b"old")
    cache.write(KEY, {}, b"new")
    assert cache.read(KEY).content == b"new"


@pytest.mark.parametrize("place", range(0, 5000 + 8 + 8 + 20 + 32, 97))
def test_one_changed_bit_anywhere_is_found(cache: EngineCache, place: int):
    file = cache.write(KEY, {"precision": "fp32"}, ENGINE).file
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(BackendError, match=r"is not used, because it is damaged.*run ctpdeploy warmup"):
        cache.read(KEY)


def grow(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"x")


def shorten(length: int) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, length)


def move_in(file: Path) -> None:
    """A sound entry of another key under this name."""
    shutil.copy(file.with_name(f"{OTHER}.engine"), file)


def sign_with_another_secret(file: Path) -> None:
    EngineCache(file.parent, bytes(32)).write(KEY, {}, ENGINE)


def link(file: Path) -> None:
    target = file.rename(file.with_suffix(".real"))
    file.symlink_to(target)


def become_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def become_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (grow, "damaged"),
        *((shorten(length), "damaged") for length in (0, 5, 8, 12, 16, 20, 47, 48, 100)),
        (move_in, "damaged, or not what this user kept here"),
        (sign_with_another_secret, "damaged, or not what this user kept here"),
        (lambda file: file.chmod(0o602), "others can write it"),
        (lambda file: file.chmod(0o620), "others can write it"),
        (link, "because .*symbolic links"),
        (become_a_folder, "because "),
        (become_a_pipe, "it is no file"),
    ],
)
def test_an_entry_that_somebody_touched_is_not_used(cache: EngineCache, spoil: Callable[[Path], None], reason: str):
    cache.write(OTHER, {}, ENGINE)
    file = cache.write(KEY, {}, ENGINE).file
    spoil(file)
    with pytest.raises(BackendError, match=reason):
        cache.read(KEY)


def test_a_length_beyond_the_file_is_found_before_memory_is_taken(cache: EngineCache):
    file = cache.write(KEY, {}, ENGINE).file
    content = bytearray(file.read_bytes())
    content[8:16] = b"\xff" * 8
    file.write_bytes(content)
    with pytest.raises(BackendError, match="damaged"):
        cache.read(KEY)


def test_an_entry_of_another_user_is_not_used(cache: EngineCache, monkeypatch: pytest.MonkeyPatch):
    cache.write(KEY, {}, ENGINE)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(BackendError, match="others can write it"):
        cache.read(KEY)


def test_a_failed_writing_leaves_nothing(cache: EngineCache, monkeypatch: pytest.MonkeyPatch):
    cache.write(KEY, {}, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UsageError, match=r"cannot be written \(No space left on device\): name another --cache"):
        cache.write(KEY, {}, b"new")
    assert cache.read(KEY).content == b"old"
    assert len(list(cache.file(KEY).parent.iterdir())) == 1


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="taken cannot be written"):
        EngineCache(tmp_path / "taken", SECRET).write(KEY, {}, ENGINE)


def test_whoever_can_do_without_a_cache_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A service without a home; and one whose cache cannot be written, where what is kept is still read."""
    monkeypatch.chdir(tmp_path)
    for place in ("user_cache_path", "user_data_path"):
        monkeypatch.setattr(f"platformdirs.{place}", lambda *_, **__: Path("~/ctpdeploy"))
    with pytest.raises(UsageError, match="no home"):
        user_engine_cache()
    homeless = spare_engine_cache()
    assert homeless.read(KEY) is None
    assert homeless.write(KEY, {"slices": (1, 2)}, ENGINE).content == ENGINE
    assert homeless.read(KEY) is None
    assert list(tmp_path.iterdir()) == []
    kept = EngineCache(tmp_path / "engines", SECRET)
    kept.write(KEY, {}, ENGINE)
    monkeypatch.setattr(kept, "write", lambda *_: (_ for _ in ()).throw(UsageError("read only")))
    spare = SpareCache(kept)
    assert spare.read(KEY) == kept.read(KEY)
    assert spare.write(OTHER, {}, b"other").content == b"other"
    assert "An engine is built and not kept. read only" in caplog.text
