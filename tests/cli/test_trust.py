"""``ctpdeploy trust``, and what it makes of other commands."""

import json
from pathlib import Path

import pytest
from support import bundles, nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime.bundle.signature import PublicKey, sign


@pytest.fixture(autouse=True)
def _workstation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))


def test_keys_are_trusted_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["trust"]) == ExitCode.DONE
    assert capsys.readouterr() == ("", "No key is trusted: bundles are opened whoever made them.\n")
    keys = {name: PublicKey.of(bundles.write_keys(tmp_path, name)[1]) for name in ("maker", "site")}
    assert run(["trust", str(keys["maker"].file)]) == ExitCode.DONE
    assert run(["trust", str(keys["site"].file), "--machine"]) == ExitCode.DONE
    assert "is trusted from now on" in capsys.readouterr().err
    assert run(["trust", "--json"]) == ExitCode.DONE
    found = json.loads(capsys.readouterr().out)["trusted"]
    assert [(key["name"], key["of"], key["sha256"]) for key in found] == [
        ("maker.pub", "user", keys["maker"].fingerprint),
        ("site.pub", "machine", keys["site"].fingerprint),
    ]
    assert run(["doctor", "--json"]) == ExitCode.DONE
    assert set(json.loads(capsys.readouterr().out)["trusted_keys"].values()) == {k.fingerprint for k in keys.values()}
    assert run(["trust", "--remove", "maker.pub"]) == ExitCode.DONE
    assert "maker.pub" not in capsys.readouterr().out
    assert run(["trust", "--remove", "site.pub"]) == ExitCode.USAGE  # it is the machine's
    assert run(["trust", "--remove", keys["site"].fingerprint, "--machine"]) == ExitCode.DONE
    assert capsys.readouterr().err.endswith("No key is trusted: bundles are opened whoever made them.\n")
    assert run(["trust", str(keys["site"].file), "--remove", "site.pub"]) == ExitCode.USAGE


def test_a_key_is_removed_by_the_path_it_was_trusted_by_and_no_other_of_its_name(tmp_path: Path):
    maker, other = (bundles.write_keys(tmp_path, name)[1] for name in ("maker", "other"))
    (tmp_path / "elsewhere").mkdir()
    namesake = tmp_path / "elsewhere" / "maker.pub"
    namesake.write_bytes(other.read_bytes())
    assert run(["trust", str(maker)]) == ExitCode.DONE
    (tmp_path / "home" / "ctpdeploy" / "trusted" / "damaged.pub").touch()
    assert run(["trust", "--remove", str(namesake)]) == ExitCode.USAGE
    assert run(["trust", "--remove", str(tmp_path / "nowhere" / "maker.pub")]) == ExitCode.USAGE
    (tmp_path / "home" / "ctpdeploy" / "trusted" / "damaged.pub").unlink()
    assert run(["trust", "--remove", str(maker)]) == ExitCode.DONE
    assert run(["trust", "--remove", "maker.pub"]) == ExitCode.USAGE


def test_doctor_says_that_keys_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "home" / "ctpdeploy" / "trusted").mkdir(parents=True)
    (tmp_path / "home" / "ctpdeploy" / "trusted" / "x.pub").touch()
    assert run(["doctor"]) == ExitCode.DONE
    printed = " ".join(capsys.readouterr().out.split())
    assert "Trusted keys: cannot be read, and no bundle is opened" in printed
    assert "x.pub is no public key" in printed


def test_the_report_says_by_whom_the_bundle_was_signed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    private, public = bundles.write_keys(tmp_path, "maker")
    bundle = bundles.write_bundle(tmp_path / "small.ctpbundle")
    case = nifti_cases.write_isles(tmp_path / "in" / "case_7", shape=(70, 66, 2), frames=16)
    sign(bundle, private)

    def signature_in_report(*options: str) -> tuple[str, str | None]:
        command = ["infer", str(bundle), str(tmp_path / "in"), "--out", str(tmp_path / "out"), *options]
        assert run(command) == ExitCode.DONE
        report = json.loads((tmp_path / "out" / "case_7" / "report.json").read_text())
        return report["bundle"]["signature"], report["bundle"]["signed_by"]

    fingerprint = PublicKey.of(public).fingerprint
    assert signature_in_report() == ("not checked", None)
    assert signature_in_report("--require-signature", str(public)) == ("holds", fingerprint)
    assert run(["trust", str(public)]) == ExitCode.DONE
    assert signature_in_report() == ("holds", fingerprint)
    capsys.readouterr()
    assert signature_in_report("--no-require-signature") == ("not checked", None)
    assert "Warning: the signature is not checked, though this workstation trusts keys" in capsys.readouterr().err
    assert run(["verify", str(bundle)]) == ExitCode.DONE
    assert f"The signature holds, with the key maker.pub (SHA-256 {fingerprint})" in capsys.readouterr().err
    assert case
