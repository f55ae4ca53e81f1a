"""Text that may be shown."""

import pytest

from ctpdeploy.printable import printable


@pytest.mark.parametrize(
    "sign",
    ["\x1b", "\x07", "\x9b", "\r", "\n", "\t", "\x7f", "\u202e", "\u2066", "\u200b", "\u2028", "\udc80", "\ufeff"],
)
def test_what_commands_is_a_sign_and_nothing_else_changes(sign: str):
    assert printable(f"Müller{sign} ± 東京 a") == "Müller\ufffd ± 東京 a"


def test_a_text_can_be_cut():
    assert printable("a\nbc", 3) == "a\ufffdb"
    assert printable("ab", 3) == "ab"
