"""Findings: one table of codes, from the gravest to the least."""

import ast
from pathlib import Path

import pytest

import ctpdeploy
from ctpdeploy.runtime.data.finding import CODES, SEVERITIES, Finding, by_severity, finding

REPOSITORY = Path(__file__).parents[3]


def used_codes() -> set[str]:
    """Codes of the calls of ``finding`` in the package."""
    calls = (
        node
        for path in Path(ctpdeploy.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "finding"
    )
    constants = (node for call in calls for node in ast.walk(call.args[0]) if isinstance(node, ast.Constant))
    return {constant.value for constant in constants if isinstance(constant.value, str)}


def test_every_code_is_used_and_every_one_used_is_a_code():
    assert used_codes() == set(CODES)


def test_the_gravest_come_first_and_each_once():
    codes = ("series-not-hu", "maps-contradict", "window-start", "maps-computed")
    impossible, swapped, early, computed = (finding(code, code) for code in codes)
    later = finding("window-end", "another caution")
    given = (computed, early, swapped, later, early, impossible)
    assert by_severity(given) == (impossible, swapped, early, later, computed)
    assert [CODES[code].severity for code in codes] == list(SEVERITIES)


def test_a_code_that_is_not_in_the_table_is_a_mistake_of_ours():
    with pytest.raises(KeyError):
        finding("no-such-code", "A sentence.")
    assert Finding("from-a-reader-of-yours", "note", "A sentence.").severity == "note"


def test_the_documents_list_every_code_with_its_meaning():
    text = (REPOSITORY / "docs" / "files.md").read_text(encoding="utf-8")
    table = next(part for part in text[text.index("### Findings") :].split("\n\n") if part.startswith("|"))
    listed = table.splitlines()[2:]
    assert listed == [f"| `{code}` | {kind.severity} | {kind.meaning} |" for code, kind in CODES.items()]
