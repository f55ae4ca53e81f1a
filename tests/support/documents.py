"""The documents: their pages, the code blocks in them, and the command lines in those."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

PAGES: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK: Final = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page.

    Attributes:
        language: after the opening fence, empty where none is named.
        line: that of the opening fence, counted from 1.
        text: between the fences.
    """

    language: str
    line: int
    text: str


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(language=found[1], line=1 + text.count("\n", 0, found.start()), text=found[2])
        for found in _BLOCK.finditer(text)
    ]


def shell_lines(page: Path) -> list[str]:
    """Lines of the blocks without a language: continued ones joined, variables replaced by what was assigned."""
    text = "".join(block.text for block in blocks_of(page) if not block.language)
    assigned = dict(re.findall(r'^ *(\w+)="(.*)"$', text, re.MULTILINE))
    text = re.sub(r"\$(\w+)", lambda variable: assigned.get(variable[1], variable[0]), text)
    return [line.strip() for line in re.sub(r"\\\n\s*", "", text).splitlines()]


def name_of(page: Path) -> str:
    """The path of a page in the repository."""
    return page.relative_to(ROOT).as_posix()
