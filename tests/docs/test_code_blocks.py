"""The code of the documents: Python runs page by page, and command lines are ones that the commands take."""

import logging
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from support.documents import PAGES, ROOT, blocks_of, name_of, shell_lines

from ctpdeploy.cli import app
from ctpdeploy.cli.demo import TRAIN_CASES
from ctpdeploy.paper.systems import SYSTEMS
from ctpdeploy.runtime.backends.registry import BACKENDS
from ctpdeploy.runtime.io.cases import LAYOUTS
from ctpdeploy.train.networks.checkpoint import ARCHITECTURES
from ctpdeploy.train.networks.segmenters import SEGMENTERS

WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]
SHELL = [pytest.param(line, id=f"{name_of(page)}: {line}") for page in PAGES for line in shell_lines(page)]
COMMANDS = [line for line in SHELL if re.search(r"^ctpdeploy |-m ctpdeploy ", str(line.values[0]))]


@pytest.fixture
def _as_it_was() -> Iterator[None]:
    """Entries of registries that a page made are gone after it, and so is its log."""
    registries: list[dict] = [BACKENDS, LAYOUTS, ARCHITECTURES, SEGMENTERS, SYSTEMS]
    kept = [dict(registry) for registry in registries]
    log = logging.getLogger("ctpdeploy.runtime.cohort")
    level, handlers = log.level, log.handlers[:]
    yield
    log.setLevel(level)
    for handler in set(log.handlers) - set(handlers):
        log.removeHandler(handler)
        handler.close()
    for registry, entries in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture
def _demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle_folder: Path, phantom_folder: Path) -> None:
    """A folder to work in, with files named as ``make demo`` names them."""
    demo = tmp_path / "demo"
    (demo / "test").mkdir(parents=True)
    (demo / "demo.ctpbundle").symlink_to(bundle_folder)
    (demo / "train").symlink_to(phantom_folder)
    for number, case in enumerate(sorted(phantom_folder.glob("case_*")), start=TRAIN_CASES + 1):
        (demo / "test" / f"case_{number}").symlink_to(case)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_as_it_was", "_demo")
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_the_python_of_a_page_runs(page: Path):
    """Its blocks in order, in one namespace; a traceback names the line of the page."""
    namespace = {"__name__": page.stem}
    for block in blocks_of(page):
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, page, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_passed_over(page: Path):
    """Every fence is at the beginning of its line, and of Python or of the shell."""
    fences = re.findall(r"^ *(?:`{3,}|~{3,}).*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(page))
    assert {block.language for block in blocks_of(page)} <= {"", "python"}
    assert not any(
        re.search("^(?:from|import) ", block.text, re.MULTILINE) for block in blocks_of(page) if not block.language
    )


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_line_is_one_that_the_command_takes(line: str):
    words = shlex.split(line, comments=True)
    name, *arguments = words[words.index("ctpdeploy") + 1 :]
    command = typer.main.get_command(app).commands[name]
    assert not command.deprecated
    values, left, _ = command.make_parser(typer.Context(command)).parse_args(arguments)
    assert not left
    assert not [option.name for option in command.params if option.required and values.get(option.name) in (None, ())]


@pytest.mark.parametrize("line", [line for line in SHELL if str(line.values[0]).startswith(("make ", "pip "))])
def test_what_is_made_and_installed_is_there(line: str):
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    tool, what = shlex.split(line, comments=True)[0:2]
    if tool == "make":
        assert what in targets
    for named in re.findall(r"\[([\w,]+)\]", line):
        assert set(named.split(",")) <= extras


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_and_links_of_a_page_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    inside = "|".join(sorted(entry.name for entry in (ROOT / "ctpdeploy").iterdir() if entry.is_dir()))
    paths = re.findall(rf"`(?:ctpdeploy/)?((?:{inside})/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / "ctpdeploy" / path).exists()] == []
