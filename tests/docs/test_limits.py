"""The limits in the documents are those of the code."""

from pathlib import Path

from ctpdeploy.runtime.io.limits import DISTANCE, FIELD, INTERVAL, LENGTH, LIMITS, VOXEL

DOCUMENT = Path(__file__).parents[2] / "docs" / "files.md"


def test_the_documents_list_every_limit():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert {INTERVAL, LENGTH, FIELD, DISTANCE, VOXEL} == set(LIMITS)
    for limit in LIMITS:
        assert f"| {limit.what} | {limit.low:g} | {limit.high:g} | {limit.unit} |" in text
