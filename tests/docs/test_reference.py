"""The reference: nothing that programs import is missing from it."""

from support.documents import ROOT

from ctpdeploy import runtime

REFERENCE = ROOT / "docs" / "reference"


def test_every_room_has_a_page():
    rooms = {path.parent.name for path in (ROOT / "ctpdeploy" / "runtime").glob("*/__init__.py")}
    assert len(rooms) > 9
    others = {"pipeline", "train", "export", "phantom", "paper", "service"}
    assert {page.stem for page in REFERENCE.glob("*.md")} >= rooms | others


def test_the_front_door_is_listed_whole():
    listed = (REFERENCE / "index.md").read_text(encoding="utf-8")
    assert [name for name in runtime.__all__ if f"[`{name}`](" not in listed] == []
