"""Arterial inputs of patients of every kind: how late they are is measured, refusals counted."""

import json

import numpy as np
import pytest
from arteries import Found, Kind, delay_s, main, measure, scan, summary
from numpy.typing import NDArray

from ctpdeploy.phantom import vessels

TIMES = np.arange(45.0)


def bolus(start: float) -> NDArray[np.float64]:
    u = np.clip(TIMES - start, 0, None) / 2.4
    return u**3 * np.exp(-u)


@pytest.mark.parametrize("shift", [-1.6, 0.0, 0.3, 7.0])
@pytest.mark.parametrize("height", [1.0, 0.1])
def test_a_delay_is_found_between_frames_whatever_the_height(shift: float, height: float) -> None:
    assert delay_s(height * bolus(8.0 + shift), bolus(8.0), 1.0) == pytest.approx(shift, abs=0.11)


def test_the_input_of_a_patient_is_measured() -> None:
    found = measure((64, 2, 0), seed=1, kind=Kind(radius=1.1))
    assert (found.size, found.slices, found.number) == (64, 2, 0)
    assert abs(found.delay_s) <= 1
    assert found.tmax_s > 1


def test_without_arteries_the_patient_is_refused() -> None:
    found = measure((64, 2, 0), seed=1, kind=Kind(arteries=False))
    assert found == Found(size=64, slices=2, number=0)


def test_vessels_are_others_only_while_a_patient_is_made() -> None:
    before = vessels.VESSELS, vessels.PIAL_FRACTION
    kinds = (Kind(radius=1.1), Kind(radius=0.3), Kind(arteries=False))
    wide, narrow, without = (scan((0,), slices=2, size=64, kind=kind).series.max(axis=0).mean() for kind in kinds)
    assert before == (vessels.VESSELS, vessels.PIAL_FRACTION)
    assert wide > narrow > without


def test_a_refusal_is_neither_near_nor_late() -> None:
    where = {"size": 64, "slices": 2, "number": 0}
    found = [
        Found(**where, delay_s=-0.9, frame_s=-2.0, peak_hu=60.0, tmax_s=3.0),
        Found(**where, delay_s=3.0, frame_s=4.0, peak_hu=80.0, tmax_s=0.2, findings=("no-vein",)),
        Found(**where),
    ]
    counts = summary(found)
    assert (counts["patients"], counts["within_1_s"], counts["late_4_s"], counts["refused"]) == (3, 1, 1, 1)
    assert (counts["worst_s"], counts["frame_within_1_s"], counts["findings"]) == (3.0, 0, {"no-vein": 1})
    assert counts["least_tmax_s"] == 0.2
    assert summary(found[2:])["peak_hu"] is None


def test_every_patient_is_a_line_and_every_slab_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["arteries.py", "--patients", "1", "--slices", "2", "4", "--size", "32", "64"])
    main()
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in err.splitlines()]
    slabs = [(32, 2), (32, 4), (64, 2), (64, 4)]
    assert [(line["size"], line["slices"]) for line in lines] == slabs
    assert [(slab["size"], slab["slices"]) for slab in json.loads(out.splitlines()[-1])["slabs"]] == slabs
