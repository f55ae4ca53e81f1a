"""Whose bundles a workstation opens, in Python as everywhere."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from support import bundles

from ctpdeploy.errors import InputError, MissingPackageError, UsageError
from ctpdeploy.runtime import ANYONE, Bundle
from ctpdeploy.runtime.bundle import trust as store
from ctpdeploy.runtime.bundle.signature import PublicKey, sign


@pytest.fixture(autouse=True)
def _workstation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that trusts nobody yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[Path, Path]]:
    """Private and public keys by the names of their owners."""
    return {name: bundles.write_keys(tmp_path, name) for name in ("maker", "stranger")}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.write_bundle(tmp_path / "small.ctpbundle")


def test_nobody_trusted_asks_for_no_signature(bundle: Path):
    opened = Bundle.open(bundle)
    assert (opened.signature, opened.signed_by) == ("none", None)


@pytest.mark.parametrize("machine", [False, True])
def test_from_the_first_key_on_only_bundles_of_the_trusted_are_opened(
    bundle: Path, keys: dict[str, tuple[Path, Path]], machine: bool
):
    kept = store.trust(keys["maker"][1], machine=machine)
    with pytest.raises(InputError, match=r"is not signed, and a signature is required, with maker.pub \(SHA-256"):
        Bundle.open(bundle)
    sign(bundle, keys["stranger"][0])
    with pytest.raises(InputError, match=r"was not made with the key that belongs to maker.pub"):
        Bundle.open(bundle)
    opened = Bundle.open(bundle, ANYONE)
    assert (opened.signature, opened.signed_by) == ("not checked", None)
    assert Bundle.open(bundle, keys["stranger"][1]).signature == "holds"  # a key that is named is the only one
    store.trust(keys["stranger"][1], machine=not machine)
    opened = Bundle.open(bundle)
    assert opened.signed_by is not None
    assert opened.signed_by.fingerprint == PublicKey.of(keys["stranger"][1]).fingerprint
    store.distrust("stranger.pub", machine=not machine)
    with pytest.raises(InputError, match="was not made with"):
        Bundle.open(bundle)
    store.distrust(kept.fingerprint, machine=machine)
    assert Bundle.open(bundle).signature == "not checked"
    assert store.trusted_keys() == ()


def test_what_was_changed_after_it_was_signed_is_refused_whatever_key_comes_first(
    bundle: Path, keys: dict[str, tuple[Path, Path]]
):
    for _, public in keys.values():
        store.trust(public)
    for private, _ in keys.values():
        sign(bundle, private)
        Bundle.open(bundle)
        content = (bundle / "verification.json").read_text()
        (bundle / "verification.json").write_text(content + " ")
        bundles.reseal(bundle)
        with pytest.raises(InputError, match="was changed after it was signed"):
            Bundle.open(bundle)
        (bundle / "bundle.sig").unlink()


@pytest.mark.parametrize("machine", [False, True])
def test_a_key_is_kept_for_its_readers_whatever_the_umask(keys: dict[str, tuple[Path, Path]], machine: bool):
    before = os.umask(0o077 if machine else 0)
    try:
        kept = store.trust(keys["maker"][1], machine=machine)
        assert store.trust(keys["maker"][1], machine=machine) == kept  # again is no other
    finally:
        os.umask(before)
    folder, file = (0o755, 0o644) if machine else (0o700, 0o600)
    if os.name == "posix":
        assert [stat.S_IMODE(path.stat().st_mode) for path in (kept.file, kept.file.parent)] == [file, folder]
    assert store.trusted_keys(machine=machine) == (kept,)
    assert store.trusted_keys(machine=not machine) == ()


def test_another_key_takes_no_name(keys: dict[str, tuple[Path, Path]], tmp_path: Path):
    store.trust(keys["maker"][1])
    other = tmp_path / "other" / "maker.pub"
    other.parent.mkdir()
    other.write_bytes(keys["stranger"][1].read_bytes())
    with pytest.raises(UsageError, match="is another key: give this one another name"):
        store.trust(other)


def test_only_public_keys_are_trusted(keys: dict[str, tuple[Path, Path]], tmp_path: Path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    public = ed25519.Ed25519PrivateKey.generate().public_key()
    (tmp_path / "ed.pub").write_bytes(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    (tmp_path / "long.pub").write_bytes(bytes(2**16) + keys["maker"][1].read_bytes())
    for file in (keys["maker"][0], tmp_path / "nothing", tmp_path, tmp_path / "ed.pub", tmp_path / "long.pub"):
        with pytest.raises(UsageError, match="is no public key of an elliptic curve"):
            store.trust(file)
    assert store.trusted_keys() == ()


def test_without_the_package_nothing_is_trusted_and_nothing_opened(
    bundle: Path, keys: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
):
    kept = store.trust(keys["maker"][1])
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(MissingPackageError, match="with its extra sign"):
        Bundle.open(bundle)
    with pytest.raises(MissingPackageError):
        store.trust(keys["stranger"][1])
    assert store.trusted_keys() == (kept,)  # which are still listed


@pytest.mark.parametrize(
    "harm", ["damaged", "a link to nothing", "a folder", "for all to write", "a file in its place"]
)
def test_a_lock_that_is_damaged_is_locked(bundle: Path, keys: dict[str, tuple[Path, Path]], harm: str):
    kept = store.trust(keys["maker"][1])
    match harm:
        case "damaged":
            kept.file.write_text("-----BEGIN PUBLIC KEY-----\n")
        case "a link to nothing":
            kept.file.unlink()
            kept.file.symlink_to("nothing")
        case "a folder":
            kept.file.with_name("second").mkdir()
        case "for all to write":
            kept.file.parent.chmod(0o777)
        case _:
            kept.file.unlink()
            kept.file.parent.rmdir()
            kept.file.parent.touch()
    with pytest.raises(UsageError):
        Bundle.open(bundle)
    assert Bundle.open(bundle, ANYONE).signature == "none"


def test_who_has_no_home_trusts_for_the_machine(keys: dict[str, tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "user_config_folder", lambda: None)
    with pytest.raises(UsageError, match="no home to keep a trusted key in"):
        store.trust(keys["maker"][1])
    with pytest.raises(UsageError, match=r"No key 'maker.pub' is trusted by this user"):
        store.distrust("maker.pub")
    store.trust(keys["maker"][1], machine=True)
    assert [key.file.name for key in store.trusted_keys()] == ["maker.pub"]


def test_the_fingerprint_is_that_of_openssl(keys: dict[str, tuple[Path, Path]]):
    command = ["openssl", "pkey", "-pubin", "-in", str(keys["maker"][1]), "-outform", "DER"]
    try:
        content = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("needs openssl")
    import hashlib

    assert PublicKey.of(keys["maker"][1]).fingerprint == hashlib.sha256(content).hexdigest()
