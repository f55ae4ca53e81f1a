"""Docstrings as Markdown: roles become links where the site has their target, ``::`` the code block that follows it."""

import re
from typing import Final

from griffe import Extension, Object

_ROLE: Final = re.compile(r":(?:class|data|func|meth|mod):`([\w.]+)`")
_LITERAL: Final = re.compile(r"^( *)::$|::$", re.MULTILINE)


class DocstringMarkup(Extension):
    """The two marks of reStructuredText in the docstrings of this package."""

    def on_object(self, *, obj: Object, **_: object) -> None:
        """Rewrite the docstring of an object."""
        if obj.docstring is not None:
            text = _ROLE.sub(_link, obj.docstring.value)
            obj.docstring.value = _LITERAL.sub(lambda mark: "" if mark[1] is not None else ":", text)


def _link(role: re.Match[str]) -> str:
    path = role[1]
    name = f"<code>{path.rpartition('.')[2]}</code>"
    return f'<autoref optional identifier="{path}">{name}</autoref>' if path.startswith("ctpdeploy.") else name
