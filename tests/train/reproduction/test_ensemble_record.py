"""The record of an ensemble: of which runs it was made."""

import json
from pathlib import Path

import pytest

from ctpdeploy.errors import InputError
from ctpdeploy.train.calibration import Calibration
from ctpdeploy.train.reproduction.ensemble_record import is_of, write_ensemble

FOUND = Calibration(threshold=0.3, dice=0.5, uncalibrated_dice=0.4, plateau=(0.2, 0.3), cases=6)


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    folders = [tmp_path / "unet/seed-0", tmp_path / "unet/seed-1"]
    for seed, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"seed": seed}))
    return folders


def test_an_ensemble_is_of_the_runs_it_was_made_of(tmp_path: Path, runs: list[Path]):
    folder = tmp_path / "mean/seed-0"
    write_ensemble(folder, tmp_path, runs, FOUND)
    assert is_of(folder, tmp_path, runs)
    assert not is_of(folder, tmp_path, runs[:1])
    written = json.loads((folder / "ensemble.json").read_text())
    assert written["members"] == {"unet/seed-0": {"seed": 0}, "unet/seed-1": {"seed": 1}}
    assert written["calibration"]["threshold"] == 0.3
    (runs[1] / "config.json").write_text('{"seed": 1, "epochs": 9}')
    assert not is_of(folder, tmp_path, runs)


def test_what_cannot_be_read_is_said(tmp_path: Path, runs: list[Path]):
    with pytest.raises(InputError, match=r"ensemble.json cannot be read .* have it made again"):
        is_of(tmp_path / "mean", tmp_path, runs)
    (runs[0] / "config.json").write_text("[")
    with pytest.raises(InputError, match=r"config.json cannot be read"):
        write_ensemble(tmp_path / "mean", tmp_path, runs, FOUND)
    assert not (tmp_path / "mean").exists()
