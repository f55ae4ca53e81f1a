"""A folder beside its networks: what is compared is the same work, and all of it is done."""

import json
import time
from pathlib import Path

from folder import compare, patients

from ctpdeploy.runtime import Pipeline
from ctpdeploy.runtime.data.prediction import EngineInfo
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig

SLICE_S = 0.05


class Slow:
    """Sleeps for each slice, on no core."""

    info = EngineInfo(backend="slow", device="none", precision="fp32")

    def __init__(self) -> None:
        self.slices = 0

    def run(self, batch: SliceBatch) -> SliceOutputs:
        self.slices += len(batch.frames)
        time.sleep(SLICE_S * len(batch.frames))
        return SliceOutputs(probability=batch.features[:, 3])


def test_networks_and_folder_run_the_same_slices_and_everything_is_written(tmp_path: Path):
    cases = patients(tmp_path, cases=2, slices=2, size=64)
    again = patients(tmp_path, cases=2, slices=2, size=64)  # not made again
    assert [case.files for case in again] == [case.files for case in cases]
    engine, out = Slow(), tmp_path / "out"
    found = compare(Pipeline(engine, PreprocessConfig(slice_shape=(64, 64))), cases, out, rounds=2)
    assert engine.slices == 2 + 2 * (4 + 4)  # one case to warm up, then both ways in each round
    assert found["networks_slice_s"]["count"] == found["folder_slice_s"]["count"] == 2
    assert found["networks_slice_s"]["least"] >= SLICE_S
    assert found["folder_slice_s"]["least"] >= SLICE_S
    assert 0 < found["of_networks"]["least"] <= found["of_networks"]["p50"] < 1
    assert list(found["stages_s"]) == ["read", "preprocess", "networks", "postprocess", "write", "overview"]
    assert found["core_seconds_beside_networks_a_case"] > 0
    assert {path.name for path in out.iterdir()} == {"case_1", "case_2"}
    json.dumps(found)
