"""Links into the repository, where it is not: what leads nowhere becomes a path, everything else stays."""

import runpy

import pytest
from support.documents import ROOT

with_paths = runpy.run_path(str(ROOT / "docs" / "extensions" / "repository_links.py"))["with_paths"]


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("see [the page](docs/a.md).", "see the page (`docs/a.md`)."),
        ("[two\nlines](docs/a.md#part)", "two\nlines (`docs/a.md`)"),
        ("[kept](kept.md) [gone](a.md)", "[kept](kept.md) gone (`a.md`)"),
        ("[elsewhere](https://x.example/a.md)", "[elsewhere](https://x.example/a.md)"),
        ("[above](#part) ![picture](a.png)", "[above](#part) ![picture](a.png)"),
    ],
)
def test_what_leads_nowhere_becomes_a_path(text: str, becomes: str):
    assert with_paths(text, lambda target: None if target == "kept.md" else target) == becomes
