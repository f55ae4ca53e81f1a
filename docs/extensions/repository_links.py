"""Links into the repository, where it is not: in their place its paths. On the site, and on the page of an index."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

_LINK: Final = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def with_paths(markdown: str, path_of: Callable[[str], str | None]) -> str:
    """The text with a path in the place of each link for which there is one.

    Args:
        markdown: its links that name a scheme, or nothing but a heading, stay.
        path_of: of a link's target; None where the link leads somewhere.
    """

    def words_of(link: re.Match[str]) -> str:
        path = path_of(link[2])
        return link[0] if path is None else f"{link[1]} (`{path}`)"

    return _LINK.sub(words_of, markdown)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: object) -> str:  # noqa: ANN401  of MkDocs
    """The page, with a path for each link to what the repository holds and the site does not."""
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def path_of(link: str) -> str | None:
        target = (here / link).resolve()
        if not target.exists() or (target.is_relative_to(docs) and target.is_file()):
            return None
        return target.relative_to(docs.parent).as_posix()

    return with_paths(markdown, path_of)
