import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import SMALL

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


def test_list_shows_every_row_of_six_tables(capsys: pytest.CaptureFixture[str]):
    assert run(["reproduce", "--list"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert sum(line[:1].isdigit() for line in lines) == 38
    text = " ".join(word for line in lines for word in line.split())
    assert text.count("derived: ") == 4
    assert "Hu et al. none left out: the source names a multi-level 3D refinement module" in text
    assert "mean of chen_unet, chen_r2unet, chen_seunet; unet, r2unet, slnet_no_sn with ce" in text
    assert max(map(len, lines)) <= 80
    assert run(["reproduce", "--list", "--json"]) == ExitCode.DONE
    listed = json.loads(capsys.readouterr().out)
    rows = listed["rows"]
    assert sum(row["DWI"] == "not needed" for row in rows) == 17, "13 systems, two of them twice, and two ensembles"
    assert {row["row"] for row in rows if row["derived"]} == {"resunet", "liu", "chen", "garcia"}
    garcia = rows[-1]
    assert (garcia["members"], garcia["segmenter"], garcia["on"]) == ("3 x garcia_unet", "unet", "balanced patches")
    (hu,) = listed["left_out"]
    assert (hu["table"], hu["row"], hu["printed"]) == ("6", "hu", "Hu et al.")
    assert "nor the steps" in hu["why"]
    olh = next(row for row in rows if row["system"] == "dwi_olh")
    assert (olh["table"], olh["printed"], olh["loss"]) == ("5", "DWI^{o,l,h}", "wce + hgd")
    told_apart = [row["synthesis"] for row in rows if row["table"] == "1"]
    assert told_apart == ["l1", "l2", "gan", "l2 + gan", "wl2", "wl2 + lh1", "wl2 + lh2"]
    assert (olh["synthesis"], rows[-1]["synthesis"]) == ("wl2 + lh1 + le", "")


def test_list_needs_no_torch():
    code = (
        "import sys\nfor name in ('torch', 'onnx', 'safetensors'):\n    sys.modules[name] = None\n"
        "from ctpdeploy.cli import run\nsys.exit(run(['reproduce', '--list']))"
    )
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "maps_dwi_olh" in listed.stdout


def test_the_old_name_does_the_same_and_states_the_new_one(capsys: pytest.CaptureFixture[str]):
    assert run(["study", "--list"]) == ExitCode.DONE
    printed = capsys.readouterr()
    assert "it is ctpdeploy reproduce now" in printed.err
    assert run(["reproduce", "--list"]) == ExitCode.DONE
    assert capsys.readouterr() == (printed.out, "")


def test_a_reproduction_prints_published_measured_and_difference_and_goes_on(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "reproduction"
    command = ["reproduce", "5", str(phantom_folder), "--rows", "Fo,cta", "--out", str(out), *SMALL]
    assert run(command) == ExitCode.DONE
    first = capsys.readouterr()
    lines = [line for line in first.out.splitlines() if "published" in line or "measured" in line]
    assert len(lines) == 4
    assert f"4 cases found in {phantom_folder}." in first.err
    assert "59.37 ± " in first.out, "the printed Dice of F_o"
    assert "measured, 1 scans" in first.out
    assert "not clinical" in first.err
    assert "median volume error" in first.out
    assert max(len(line) for line in first.out.splitlines() if line.startswith(("row", "cta", "Fo"))) < 80
    assert (out / "table-5.csv").is_file()
    assert run([*command, "--json"]) == ExitCode.DONE
    second = capsys.readouterr()
    assert "Row" not in second.err, "nothing is trained twice"
    table = json.loads(second.out)
    assert list(table["rows"]) == ["cta", "Fo"]
    assert table["rows"]["Fo"]["published"]["cells"]["dice_pct"] == {"mean": 59.37, "std": 15.73}
    assert table["rows"]["Fo"]["measured"]["scans"] == 1
    assert run([*command, "--set", "epochs=2"]) == ExitCode.USAGE
    assert "another configuration" in capsys.readouterr().err


def test_the_leaderboard_is_derived_and_says_so(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    command = ["reproduce", "6", str(phantom_folder), "--out", str(tmp_path / "reproduction"), *SMALL]
    assert run([*command, "--set", "warm_start=0"]) == ExitCode.DONE
    printed = capsys.readouterr()
    names = [line.split("  ")[0] for line in printed.out.splitlines() if "published  " in line]
    assert names == ["Ours", "Liu (2018), derived", "Chen et al., derived", "Garcia et al., derived"]
    assert "0.49 ± 0.31" in printed.out
    assert [line.split("  ")[0] for line in printed.out.splitlines() if line.startswith("ours - ")] == [
        *("ours - liu, derived", "ours - chen, derived", "ours - garcia, derived"),
    ]
    assert "Warning: Row hu is left out: the source names a multi-level 3D refinement module" in printed.err
    assert "Row 3 of 4: chen, system chen_r2unet, seed 0" in printed.err
    assert "Row 4 of 4: garcia, system garcia_unet, seed 2" in printed.err
    assert "Row 4 of 4: garcia, ensemble garcia, seed 0" in printed.err
    assert "the testing set of ISLES 2018" in printed.err
    assert run([*command, "--set", "warm_start=0", "--json", "--rows", "liu,hu"]) == ExitCode.DONE
    again = capsys.readouterr()
    assert "Row hu is left out" in again.err
    assert "Row 1" not in again.err, "nothing is trained twice"
    rows = json.loads(again.out)["rows"]
    assert (rows["ours"]["derived"], bool(rows["liu"]["derived"])) == ("", True)


def test_phantoms_are_made_for_the_test_and_claims_are_judged(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "reproduction"
    command = ["reproduce", "4", str(phantom_folder), "--rows", "ce,wce_hgd", "--out", str(out), *SMALL]
    assert run([*command, "--test-cases", "2"]) == ExitCode.DONE
    printed = capsys.readouterr().out
    assert "measured, 2 scans" in printed
    truths = [json.loads(file.read_text()) for file in sorted((out / "test").glob("*/truth.json"))]
    known = json.loads((phantom_folder / "case_1/truth.json").read_text())
    assert [truth["case"] for truth in truths] == [5, 6]
    assert {truth["seed"] for truth in truths} == {known["seed"] + 1}
    assert all(truth["config"] == known["config"] for truth in truths)
    claim = next(line for line in printed.splitlines() if line.startswith("wce_hgd - ce"))
    assert "+4.92" in claim
    assert claim.endswith(("within noise", "holds", "fails"))
    assert run([*command, "--test-cases", "2", "--json", "--score", "abs_dv_ml"]) == ExitCode.DONE
    table = json.loads(capsys.readouterr().out)
    assert table["claims"]["score"] == "abs_dv_ml"
    assert [(of["row"], of["other"]) for of in table["claims"]["judged"]] == [("wce_hgd", "ce")]
    assert table["rows"]["ce"]["beside"]["abs_dv_ml"] > 0


def test_no_phantoms_are_made_beside_other_cases(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = Path(shutil.copytree(phantom_folder, tmp_path / "data", ignore=shutil.ignore_patterns("truth.json")))
    assert run(["reproduce", "4", str(data), "--test-cases", "2", "--out", str(tmp_path / "out")]) == ExitCode.INPUT
    assert "are no phantoms" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce"], "Name a table and a folder"),
        (["reproduce", "5"], "Name a table and a folder"),
        (["reproduce", "5", "DATA", "--folds", "2", "--test", "DATA"], "give one of them"),
        (["reproduce", "5", "DATA", "--score", "dise"], "did you mean 'dice'"),
        (["reproduce", "7", "DATA"], "There is no table 7 to train"),
        (["reproduce", "6", "DATA", "--rows", "hu"], "Row hu is left out: the source names"),
        (["reproduce", "6", "DATA", "--rows", "chenn"], "did you mean 'chen'"),
        (["reproduce", "5", "DATA", "--rows", "Fo,dwi"], "Unknown key 'dwi' in table 5"),
        (["reproduce", "5", "DATA", "--preset", "large"], "Unknown key 'large'"),
        (["train", "DATA", "--out", "OUT", "--system", "resnet"], "did you mean 'resunet'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    phantom_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
):
    places = {"DATA": str(phantom_folder), "OUT": str(tmp_path / "run")}
    assert run([places.get(argument, argument) for argument in arguments]) == ExitCode.USAGE
    assert message in capsys.readouterr().err
