"""The page on studies: its table is that of the layouts."""

import re

from support.documents import ROOT

from ctpdeploy.phantom.dicom import LAYOUTS


def test_every_layout_is_listed_in_its_own_words():
    text = (ROOT / "docs" / "how-to" / "make-studies.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (.*) \|$", text, re.MULTILINE))
    assert rows == {name: layout.summary for name, layout in LAYOUTS.items()}
