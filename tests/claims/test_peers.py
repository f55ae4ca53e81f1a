"""ctpdeploy beside others, small: ratios with their spread, and what must stop the run before a figure is said."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from figures import GRIDS, is_ours
from networks import CEILINGS, DIRECT
from peer_cases import CASE_PEERS, SCRIPT, Job, Run
from peer_networks import EAGER, ORT, OURS, PEERS, Array, Networks, Peer
from peer_tables import floor, in_readme, one_slice, whole_case
from peer_turns import make_all
from peers import measure, plain

from ctpdeploy.benchmark.quantiles import Quantiles
from ctpdeploy.errors import BackendError, GuardError
from ctpdeploy.runtime import Bundle
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.train.networks import load_chain

ROUNDS = 3
OTHER = "ONNX Runtime, plain export"
NCNN = "ctpdeploy ncnn"


Measure = Callable[[dict[str, Callable], dict[str, Callable]], dict]


@pytest.fixture(scope="module")
def measured(trained_run: Path, bundle_folder: Path, phantom_folder: Path) -> Iterator[Measure]:
    chain = load_chain(trained_run / "checkpoints" / "best")
    with Bundle.open(bundle_folder) as bundle:
        networks = Networks(chain=chain, bundle=bundle)

        def run(peers: dict[str, Callable], cases: dict[str, Callable]) -> dict:
            found = measure(
                networks, phantom_folder / "case_1", gflop=0.1, rounds=ROUNDS, peers=peers, case_peers=cases
            )
            return json.loads(json.dumps({"size": 64, "width": 4} | plain(found), allow_nan=False))

        yield run


def changed(name: str, change: Callable[[Array], Array]) -> Callable[[Networks], Peer]:
    """A peer whose probabilities are changed."""

    def make(networks: Networks) -> Peer:
        run = PEERS[name](networks)
        return lambda frames, features: change(run(frames, features))

    return make


def changed_mask(name: str) -> Callable[[Job], Run]:
    """A peer whose labels are the wrong way round."""

    def make(job: Job) -> Run:
        run = CASE_PEERS[name](job)

        def wrong() -> tuple[float, np.ndarray]:
            seconds, mask = run()
            return seconds, ~mask

        return wrong

    return make


def absent(_: object) -> Peer:
    raise ImportError("No module named 'nnunetv2'")


def fails_to_compile(_: object) -> Peer:
    def run(*_: Array) -> Array:
        raise RuntimeError("No working C++ compiler found\nand a page of it")

    return run


@pytest.fixture(scope="module")
def found(measured: Measure) -> dict:
    pytest.importorskip("ncnn")
    wrong = changed(EAGER, lambda probability: 1 - probability)
    peers = {EAGER: PEERS[EAGER], "swapped": wrong, "compiled": fails_to_compile} | {x: PEERS[x] for x in (ORT, NCNN)}
    cases = {"a script": CASE_PEERS[SCRIPT], "nnU-Net": absent, "wrong": changed_mask(SCRIPT)}
    return measured(peers, {SCRIPT: CASE_PEERS[SCRIPT], **cases, NCNN: CASE_PEERS[NCNN]})


def test_every_backend_on_the_processor_takes_part():
    assert {ORT, NCNN, "ctpdeploy openvino"} <= set(OURS)
    assert set(OURS.values()) == set(BACKENDS) - {"ort-cuda", "tensorrt", "tensorrt-rtx"}
    assert set(OURS) < set(PEERS)
    assert set(OURS) < set(CASE_PEERS)
    assert all(map(is_ours, OURS))
    assert not any(map(is_ours, {*PEERS, *CASE_PEERS} - set(OURS)))


def test_ratios_are_of_rounds_and_have_their_spread(found: dict):
    for part, reference in (("one_slice", EAGER), ("whole_case", SCRIPT)):
        peers = found[part]["peers"]
        key = {"one_slice": "times_eager", "whole_case": "times_script"}[part]
        for figures in peers.values():
            assert figures[key]["count"] == figures["of_matrix_product"]["count"] == ROUNDS
            assert 0 < figures[key]["least"] <= figures[key]["p50"] <= figures[key]["greatest"]
        assert peers[reference][key]["least"] == peers[reference][key]["greatest"] == 1
        ceiling = found[part]["ceilings"]
        assert list(ceiling) == list(CEILINGS)
        assert ceiling[DIRECT]["of_matrix_product"]["p50"] == 1
        for name, share in CEILINGS.items():
            assert ceiling[name]["of_matrix_product"]["p50"] == pytest.approx(1 / share, rel=1e-3)
        # the reference is as much slower than the ceiling as the ceiling is faster than the reference
        slower = peers[reference]["of_matrix_product"]
        assert ceiling[DIRECT][key]["greatest"] == pytest.approx(1 / slower["least"], rel=2e-3)
    assert found["sgemm_gflops"]["count"] == 2 * ROUNDS
    direct, slice_ = found["whole_case"]["ceilings"][DIRECT]["gflop"], found["one_slice"]["ceilings"][DIRECT]["gflop"]
    assert direct == pytest.approx(2 * slice_, rel=1e-3)


def test_what_is_wrong_or_missing_is_not_timed_and_said(found: dict):
    slices, case = found["one_slice"], found["whole_case"]
    assert list(slices["peers"]) == [EAGER, ORT, NCNN]
    assert set(slices["not_timed"]) == {"swapped", "compiled"}
    assert "of labels" in slices["not_timed"]["swapped"]
    assert slices["not_timed"]["compiled"] == "No working C++ compiler found"
    assert list(case["peers"]) == [SCRIPT, "a script", NCNN]
    assert case["not_timed"]["nnU-Net"] == "No module named 'nnunetv2'"
    assert case["not_timed"]["wrong"] == "labels 100.00% of the voxels otherwise"
    assert "Not timed: compiled: No working C++ compiler found" in one_slice(found)
    assert "Not timed: nnU-Net: No module named 'nnunetv2'" in whole_case(found)


def test_tables_have_a_row_for_each(found: dict):
    tables = [grid(found) for kind, grid in GRIDS.values() if kind == "peers"]
    assert [list(table.rows) for table in tables] == [
        [EAGER, ORT, NCNN, *CEILINGS],
        [SCRIPT, "a script", NCNN, *CEILINGS],
    ]
    for table in tables:
        text = in_readme(table).split("\n")
        assert len(text) == 2 + len(table.rows)
        assert len({line.count("|") for line in text}) == 1
        assert sum(line.startswith("| **ctpdeploy ") for line in text) == 1
        assert sum(line.startswith("| *ceiling: ") for line in text) == len(CEILINGS)
    first = floor(found).split("\n")[2]
    speeds = {name: found["one_slice"]["peers"][name]["seconds"]["p50"] for name in (ORT, NCNN)}
    assert first.startswith(f"| {min(speeds, key=speeds.__getitem__)} |")


@pytest.mark.parametrize("change", [lambda p: 1 - p, lambda p: p + np.float32(0.01)], ids=["swapped", "off by 1e-2"])
def test_a_wrong_backend_ends_the_run(measured: Measure, change: Callable[[Array], Array]):
    with pytest.raises(GuardError, match=f"{ORT} is off by .* times eager's error.* nothing is timed"):
        measured({EAGER: PEERS[EAGER], ORT: changed(ORT, change)}, {})


def test_a_backend_with_a_wrong_mask_ends_the_run(measured: Measure):
    with pytest.raises(GuardError, match=f"{ORT} labels 100.00% of the voxels otherwise"):
        measured({EAGER: PEERS[EAGER]}, {SCRIPT: CASE_PEERS[SCRIPT], ORT: changed_mask(ORT)})


def test_a_backend_that_can_run_and_refuses_ends_the_run():
    def refuses(_: object) -> Peer:
        raise BackendError("ncnn computes it wrongly")

    with pytest.raises(BackendError, match="wrongly"):
        make_all({NCNN: refuses}, 7)


def test_figures_become_json():
    assert plain({"a": [Quantiles.of([1.23456, 2.0])], "b": None}) == {
        "a": [{"count": 2, "least": 1.235, "greatest": 2.0, "p50": 1.617, "p95": None, "p99": None}],
        "b": None,
    }
