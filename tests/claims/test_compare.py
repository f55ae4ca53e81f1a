"""What the documents say of speed: it is what the committed results say, and it is held against what is measured."""

import copy
import json
import re
from pathlib import Path

import pytest
from compare import MISSING, NO, YES, other_conditions, pairs, report
from figures import GRIDS, TOLERANCE, Figure, one_slice
from networks import CEILINGS
from peer_networks import PEERS
from peer_tables import in_readme
from published_results import MACHINE, SCHEMAS, committed, kind_of_machine, read_results, take
from table import README, tables, written

from ctpdeploy.errors import InputError


def quantiles(p50: float) -> dict:
    return {"count": 7, "least": 0.9 * p50, "greatest": 1.05 * p50, "p50": p50, "p95": None, "p99": None}


def row(speed: float, **others: object) -> dict:
    ratios = {key: quantiles(speed) for key in ("times_eager", "times_ort_cpu", "times_script", "of_matrix_product")}
    return {"seconds": quantiles(2 / speed), **ratios, **others}


@pytest.fixture
def results() -> dict:
    """As peers.py writes them, with figures that are easy to follow."""
    speeds = dict.fromkeys(PEERS, 1.0) | {"ctpdeploy ncnn": 2.0}
    ceilings = {name: row(1 / share, gflop=289.3 * share) for name, share in CEILINGS.items()}
    slices = {name: row(speed, rms_error_in_eagers=0.5, ready_s=3.0) for name, speed in speeds.items()}
    cases = {"script": row(1.0), "ctpdeploy ncnn": row(2.0)}
    machine = {"processor": "AMD EPYC", "cores": 2, "versions": {"onnxruntime": "1.32.0", "nnunetv2": "2.8.1"}}
    peers = {
        "schema": 2,
        "machine": machine,
        "width": 64,
        "size": 256,
        "rounds": 7,
        "sgemm_gflops": quantiles(142.0),
        "copy_gb_per_s": quantiles(22.0),
        "other_cores": 0.03,
        "one_slice": {"not_timed": {}, "ceilings": ceilings, "peers": slices},
        "whole_case": {"not_timed": {}, "slices": 4, "ceilings": ceilings, "peers": cases},
    }
    conditions = {
        key: peers[key] for key in ("machine", "width", "size", "sgemm_gflops", "copy_gb_per_s", "other_cores")
    }
    folder = {
        **conditions,
        "schema": 1,
        "backend": "ncnn",
        "cases": 20,
        "slices": 5,
        "rounds": 3,
        "of_networks": quantiles(0.95),
        "folder_slice_s": quantiles(1.2),
    }
    return {"peers": peers, "folder": folder}


def test_the_documents_have_the_figures_of_the_results():
    made = tables({kind: read_results(kind, committed(kind)) for kind in SCHEMAS})
    for document, of_document in made.items():
        text = document.read_text(encoding="utf-8")
        assert written(text, of_document) == text


def test_a_table_without_a_marker_is_an_error():
    with pytest.raises(ValueError, match="one slice has 0 markers"):
        written("nothing", {"one slice": "| a |"})


def test_the_readme_has_no_table_of_speed_that_is_not_made():
    text = README.read_text(encoding="utf-8")
    section = text[text.index("**Speed.**") : text.index("## What is not there yet")]
    by_hand = re.sub(r"<!-- (.*?) -->\n.*?<!-- end -->", "", section, flags=re.DOTALL)
    assert set(re.findall(r"<!-- (.*?) -->", section)) == {*GRIDS, "conditions of speed", "end"}
    assert not re.search(r"\d", by_hand.replace("float64", ""))


def test_what_the_readme_says_is_what_is_compared(results: dict):
    """Each ratio of its tables, but for those that cannot be otherwise."""
    results["peers"]["one_slice"]["peers"]["torch eager"] |= {
        "times_eager": quantiles(1.0) | {"least": 1, "greatest": 1}
    }
    stated = list(pairs(results, results))
    assert all(pair.verdict == YES for pair in stated)
    assert len({pair.what for pair in stated}) == len(stated)
    compared = {pair.what: str(pair.stated) for pair in stated}
    for kind, grid in GRIDS.values():
        table = grid(results[kind])
        for name, row_ in table.rows.items():
            for column, figure in row_.items():
                assert str(figure) in in_readme(table)
                if (name, column) == ("torch eager", "times eager"):
                    assert (table.title, name, column) not in compared
                else:
                    assert compared[table.title, name, column] == str(figure)
    assert "2.00 (1.80–2.10)" in compared.values()
    assert "0.50" in compared.values()


@pytest.mark.parametrize(("median", "holds"), [(1.63, True), (1.61, False), (2.3, True), (2.32, False)])
def test_a_figure_holds_within_its_spread_and_the_tolerance(median: float, holds: bool):
    assert TOLERANCE == 0.1
    stated = Figure.of(quantiles(2.0))
    assert stated.holds(Figure.of(median)) is holds


def test_a_figure_outside_its_spread_is_said_and_fails(results: dict, capsys: pytest.CaptureFixture[str]):
    today = copy.deepcopy(results)
    assert report(results, today)
    assert "0 are not, 0 were not measured" in capsys.readouterr().out
    today["peers"]["one_slice"]["peers"]["ctpdeploy ncnn"]["times_eager"] = quantiles(1.4)
    assert not report(results, today)
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.endswith(f" {NO}")]
    assert all(word in line for word in ("ctpdeploy ncnn", "times eager", "2.00 (1.80–2.10)", "1.40 (1.26–1.47)"))
    assert "1 are not, 0 were not measured" in said


def test_what_was_not_measured_is_said_and_does_not_fail(results: dict, capsys: pytest.CaptureFixture[str]):
    today = copy.deepcopy(results)
    del today["peers"]["one_slice"]["peers"]["torch.compile max-autotune"]
    today["peers"]["one_slice"]["not_timed"] = {"torch.compile max-autotune": "No working C++ compiler found"}
    today["peers"]["machine"]["versions"] = {"onnxruntime": "1.40.0"}
    assert report(results, today)
    said = capsys.readouterr().out
    assert sum(line.endswith(MISSING) for line in said.splitlines()) == 4
    assert "not timed: torch.compile max-autotune: No working C++ compiler found" in said
    assert "onnxruntime 1.40.0, not 1.32.0; nnunetv2 None, not 2.8.1" in said


def test_a_backend_of_ctpdeploy_that_was_not_measured_fails(results: dict):
    today = copy.deepcopy(results)
    del today["peers"]["whole_case"]["peers"]["ctpdeploy ncnn"]
    assert not report(results, today)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"width": 16}, "width 16 is not the README's 64"),
        ({"machine": {"processor": "AMD EPYC", "cores": 8, "versions": {}}}, "amd-epyc-8-cores is not the README's"),
    ],
)
def test_elsewhere_nothing_is_judged(results: dict, change: dict, reason: str, capsys: pytest.CaptureFixture[str]):
    today = results | {"peers": results["peers"] | change}
    today["peers"]["one_slice"] = copy.deepcopy(results["peers"]["one_slice"])
    today["peers"]["one_slice"]["peers"]["ctpdeploy ncnn"]["times_eager"] = quantiles(0.1)
    assert [reason in why for why in other_conditions(results, today)] == [True]
    assert report(results, today)
    said = capsys.readouterr().out
    assert "1 are not" in said
    assert "Nothing follows from that" in said


def test_the_readme_names_ways_to_run_that_there_are(results: dict):
    assert {"torch eager", "torch.compile max-autotune", "ONNX Runtime, plain export"} < set(PEERS)
    rows = one_slice(results["peers"]).rows
    assert {"torch eager", "torch.compile max-autotune", "ONNX Runtime, plain export", "ctpdeploy ncnn"} < set(rows)
    assert "torch channels-last" not in rows


def test_only_results_of_full_width_of_that_machine_are_taken(results: dict, tmp_path: Path):
    kept = tmp_path / "results"
    kept.mkdir()
    name = {"name": "random-64-256-fp32.ctpbundle"}
    bundle = {"schema": 2, "machine": results["peers"]["machine"], "bundle": name, "other_cores": None}

    def left(peers: dict, benchmark: dict) -> Path:
        for kind, found in (("peers", peers), ("benchmark", benchmark), ("folder", results["folder"])):
            (tmp_path / f"{kind}.json").write_text(json.dumps(found))
        return tmp_path

    narrow = bundle | {"bundle": {"name": "random-16-256-fp32.ctpbundle"}}
    elsewhere = results["peers"] | {"machine": {"processor": "Other", "cores": 2}}
    for peers, benchmark, why in (
        (results["peers"] | {"width": 16}, bundle, "width 16"),
        (results["peers"], narrow, "width 16"),
        (elsewhere, bundle, "other-2-cores"),
        (results["peers"], bundle | {"other_cores": 0.8}, "0.80 cores were busy"),
        (results["peers"] | {"schema": 1}, bundle, "another version"),
    ):
        with pytest.raises(InputError, match=why):
            take(left(peers, benchmark), kept)
        assert not list(kept.iterdir())
    assert kind_of_machine(bundle) == MACHINE
    take(left(results["peers"], bundle), kept)
    assert read_results("peers", committed("peers", kept)) == results["peers"]
    with pytest.raises(InputError, match="There is no"):
        read_results("peers", tmp_path / "nothing.json")
