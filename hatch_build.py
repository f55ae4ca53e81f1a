"""The parts of building the package that are its own: the kernels of the backend ``native``, and its description."""

import re
import runpy
import sysconfig
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE: Final = re.compile(r"^!\[[^\]]*\]\([^:)]*\)\n\n\*[^*]+\*\n\n", re.MULTILINE)
"""One of the repository, with its caption."""


class KernelsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the wheel one for this platform, or leaves it one for any if the kernels cannot be compiled."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  as the interface has it
        """Compile them before files are collected."""
        made = runpy.run_path(str(Path(self.root, "ctpdeploy", "runtime", "backends", "native", "build.py")))
        try:
            made["build"]()
        except OSError as error:
            self.app.display_warning(f"The backend native will be missing, because {error}.")
            return
        build_data["artifacts"].append(str(made["LIBRARY"].relative_to(self.root)))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


class DescriptionHook(MetadataHookInterface):
    """Describes the package by the README, without what leads nowhere away from the repository."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        links = runpy.run_path(str(Path(self.root, "docs", "extensions", "repository_links.py")))
        readme = _PICTURE.sub("", Path(self.root, "README.md").read_text(encoding="utf-8"))
        metadata["readme"] = {"content-type": "text/markdown", "text": links["with_paths"](readme, str)}
