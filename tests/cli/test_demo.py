"""``ctpdeploy demo``."""

from pathlib import Path

from ctpdeploy.cli import run
from ctpdeploy.errors import ExitCode


def test_demo_does_not_write_over_anything(tmp_path: Path):
    (tmp_path / "precious.txt").write_text("x")
    assert run(["demo", str(tmp_path)]) == ExitCode.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]
