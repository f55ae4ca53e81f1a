"""The part of building the package that compiles the kernels of the backend ``native``, where there is a compiler."""

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


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
