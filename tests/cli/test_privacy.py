"""Names: those of patients stand in no log, and none of them commands the terminal."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import bundles, nifti_cases

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode
from ctpdeploy.runtime import Pipeline

PATIENT = "MUSTERMANN^ERIKA"
PLANTED = "\x1b]0;owned\x07\x1b[2J\u202e\n\x9b31m\r"
"""A title for the window, an empty screen, a turned direction, lines of its own and a colour."""

pytestmark = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="its file systems take no such names")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is called so itself, on a workstation that trusts a key of such a name."""
    place = tmp_path / f"place{PLANTED}"
    place.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "home"))
    monkeypatch.setenv("CTPDEPLOY_CACHE", str(place / "cache"))
    bundles.write_bundle(place / f"b{PLANTED}.ctpbundle")
    for case in (f"{PATIENT}{PLANTED}1", f"{PATIENT}{PLANTED}2"):
        folder = nifti_cases.write_isles(place / "in" / case, shape=(70, 66, 2), frames=16)
        nifti_cases.patch(nifti_cases.find(folder, "CT_4DPWI"), descrip=PLANTED.encode(), aux_file=b"\x1b[31m")
    return place


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """Of the commands; the logger of the package is as it was afterwards."""
    logger = logging.getLogger("ctpdeploy")
    before, level = list(logger.handlers), logger.level
    yield tmp_path / "audit.log"
    for handler in set(logger.handlers) - set(before):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(level)


def spoil(place: Path, number: int) -> None:
    nifti_cases.find(place / "in" / f"{PATIENT}{PLANTED}{number}", "CT_MTT").write_text("\x1b[31m no image")


RUNS = [
    *[("infer", "none", ExitCode.DONE), ("infer", "one case", ExitCode.BATCH), ("infer", "all cases", ExitCode.BATCH)],
    *[("infer", "unforeseen", ExitCode.BATCH), ("infer --json", "one case", ExitCode.BATCH)],
    *[("infer --ctp", "none", ExitCode.INPUT), ("infer --ctp", "unforeseen", ExitCode.INPUT)],
    *[("infer nothing", "none", ExitCode.INPUT), ("evaluate", "none", ExitCode.DONE)],
    *[("evaluate", "one case", ExitCode.BATCH), ("evaluate", "all cases", ExitCode.BATCH)],
    *[("evaluate", "unforeseen", ExitCode.BATCH), ("verify", "none", ExitCode.DONE)],
    *[("verify --debug", "none", ExitCode.INPUT), ("benchmark", "none", ExitCode.USAGE)],
    *[("train", "none", ExitCode.USAGE), ("train data", "none", ExitCode.INPUT), ("export", "none", ExitCode.INPUT)],
    *[("phantom", "none", ExitCode.USAGE), ("trust", "none", ExitCode.DONE), ("caches", "none", ExitCode.DONE)],
    *[("doctor", "none", ExitCode.DONE), ("push", "none", ExitCode.USAGE), ("no command", "none", ExitCode.USAGE)],
    *[("an argument more", "none", ExitCode.USAGE), ("an option", "none", ExitCode.USAGE)],
    ("a number", "none", ExitCode.USAGE),
]
"""Commands, what is wrong with their cases, and how they end."""


def commands(place: Path) -> dict[str, list[str]]:
    bundle, data, out = str(place / f"b{PLANTED}.ctpbundle"), str(place / "in"), f"out{PLANTED}"
    series = str(nifti_cases.find(place / "in" / f"{PATIENT}{PLANTED}1", "CT_4DPWI"))
    return {
        "infer": ["infer", bundle, data, "--out", str(place / out)],
        "infer --json": ["infer", bundle, data, "--out", str(place / out), "--json"],
        "infer --ctp": ["infer", bundle, "--ctp", series, "--name", f"{PATIENT}{PLANTED}", "--out", str(place / out)],
        "infer nothing": ["infer", bundle, str(place / "nothing"), "--out", str(place / out)],
        "evaluate": ["evaluate", bundle, data, "--out", str(place / "e")],
        "verify": ["verify", bundle, "--no-gate"],
        "verify --debug": ["--debug", "verify", str(place / "nothing")],
        "benchmark": ["benchmark", bundle, data, "--rounds", "1", "--backend", PLANTED],
        "train": ["train", data, "--out", str(place / "r"), "--preset", PLANTED],
        "train data": ["train", data, "--out", str(place / "r")],
        "export": ["export", str(place / "nothing"), "--out", str(place / "x")],
        "phantom": ["phantom", str(place / "in" / f"{PATIENT}{PLANTED}1" / "x" / PLANTED), "--set", f"{PLANTED}=1"],
        "trust": ["trust", str(place / f"k{PLANTED}.pub")],
        "caches": ["caches"],
        "doctor": ["doctor"],
        "push": ["push", str(place / "in"), "--to", PLANTED],
        "no command": [PLANTED],
        "an argument more": ["phantom", "out", PLANTED],
        "an option": ["infer", f"--{PLANTED}"],
        "a number": ["phantom", "out", "--cases", PLANTED],
    }


@pytest.mark.parametrize(("name", "fault", "code"), RUNS)
def test_nothing_printed_or_logged_is_a_command_or_names_a_patient(
    place: Path,
    log: Path,
    name: str,
    fault: str,
    code: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    if name == "trust":
        bundles.write_keys(place, f"k{PLANTED}")
    for number in {"one case": (2,), "all cases": (1, 2)}.get(fault, ()):
        spoil(place, number)
    if fault == "unforeseen":

        def predict(*_: object) -> None:
            raise RuntimeError(f"of {PATIENT}{PLANTED}\nin two lines")

        monkeypatch.setattr(Pipeline, "predict", predict)
    assert run(["--log", str(log), *commands(place)[name]]) == code
    printed = capsys.readouterr()
    logged = log.read_text() if log.exists() else ""  # no command begins none
    assert printed.out or printed.err
    for text in (printed.out, printed.err, logged):
        assert not {letter for letter in text if not letter.isprintable()} - {"\n"}, text
    assert "begins" in logged or name == "no command"
    assert "MUSTERMANN" not in logged
    assert "ERIKA" not in logged
