"""``docs/scanner.md`` against the tables of the reading room."""

import re

from support.documents import ROOT

from ctpdeploy.phantom.dicom import LAYOUTS
from ctpdeploy.runtime.dicom.clocks import CLOCKS
from ctpdeploy.runtime.dicom.kinds import KINDS
from ctpdeploy.runtime.dicom.quantities import QUANTITIES, Quantity

PAGE = (ROOT / "docs" / "scanner.md").read_text(encoding="utf-8")


def test_the_page_lists_all_kinds_in_the_order_in_which_they_are_tried():
    rows = [f"| {kind.name} | {kind.because} |" for kind in KINDS]
    assert "\n".join(rows) in PAGE


def test_the_page_lists_all_clocks_in_the_order_of_trust():
    names = list(dict.fromkeys(clock.name for clock in CLOCKS))
    found = [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [name for name in found if name in names] == names


def test_the_page_says_of_every_layout_what_has_been_seen():
    table = PAGE.split("## What has been seen\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([\w-]+)` \| read \|", table, re.MULTILINE) == list(LAYOUTS)


def test_the_page_lists_all_quantities_with_their_codes_and_words():
    def row(quantity: Quantity) -> str:
        pairs = ((maker, word) for maker, words in quantity.words.items() for word in words)
        words = ", ".join(word if maker == "all" else f"{word} ({maker})" for maker, word in pairs)
        return f"| {quantity.title} | {', '.join(quantity.codes)} | {words} |".replace("|  |", "| |")

    assert "\n".join(map(row, QUANTITIES)) in PAGE
