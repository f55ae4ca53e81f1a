"""Links out of the documents: on the site, the path in the repository in their place."""

import re
from pathlib import Path
from typing import Any, Final

_LINK: Final = re.compile(r"(?<!!)\[([^\]\n]+)\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: object) -> str:  # noqa: ANN401  of MkDocs
    """The page, with a path for each link to what the repository holds and the site does not."""
    docs = Path(config.docs_dir)
    here = (docs / page.file.src_uri).parent

    def path_of(link: re.Match[str]) -> str:
        words, target = link[1], (here / link[2]).resolve()
        if not target.exists() or (target.is_relative_to(docs) and target.is_file()):
            return link[0]
        path = target.relative_to(docs.parent).as_posix()
        return f"{words} (`{path}`)"

    return _LINK.sub(path_of, markdown)
