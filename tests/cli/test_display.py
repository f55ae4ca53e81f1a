"""Progress as bars on a terminal of 80 columns, and as lines where nothing can be redrawn."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from ctpdeploy.cli.display import Bars, Lines
from ctpdeploy.cli.terminal import progress
from ctpdeploy.cli.train import show_training
from ctpdeploy.train import ProgressEvent

JOINT = "extractor + generator + segmenter"
EPOCHS, STEPS = 800, 60


def events(epochs: int = EPOCHS) -> list[ProgressEvent]:
    """Of a run of the paper's size, its last two epochs."""
    steps = [ProgressEvent(stage="reading", step=step, steps=71, epochs=EPOCHS) for step in (1, 71)]
    for epoch in (epochs - 1, epochs):
        of = {"epoch": epoch, "epochs": EPOCHS, "learns": JOINT}
        steps += [
            ProgressEvent(stage="training", step=step, steps=STEPS, loss=1.5 / step, **of)
            for step in range(1, STEPS + 1)
        ]
        steps.append(ProgressEvent(stage="validation", dice=0.25, **of))
    return steps


def test_bars_of_a_training_fit_into_80_columns():
    written = io.StringIO()
    console = Console(file=written, width=80, height=25, force_terminal=True, color_system=None)
    with Bars(console) as bars:
        show = show_training(bars, Path("data"))
        for event in events():
            show(event)
    last = [line.rstrip() for line in re.sub(r"\x1b\[[0-9?]*[A-Za-z]", "", written.getvalue()).splitlines()[-3:]]
    assert re.fullmatch(r"reading {4}━{30} 71/71 {7}\d:\d\d:\d\d", last[0])
    assert re.fullmatch(r"training {3}━{30} 48000/48000 \d:\d\d:\d\d", last[1])
    assert last[2].startswith("  epoch 800/800, loss 0.025, best Dice 0.250, extractor + generator")
    assert max(map(len, last)) <= 80


def test_a_log_of_a_training_has_a_line_an_epoch():
    said: list[str] = []
    show = show_training(Lines(said.append, clock=lambda: 0.0), Path("data"))
    for event in events():
        show(event)
    assert said == [
        f"training {epoch * STEPS}/48000, 0:00:00: epoch {epoch}/800, loss 0.025, best Dice 0.250, {JOINT}"
        for epoch in (799, 800)
    ]


def test_a_log_of_anything_else_has_at_most_a_line_a_minute():
    said: list[str] = []
    seconds = iter(range(0, 1000, 25))
    lines = Lines(said.append, clock=lambda: float(next(seconds)))
    task = lines.add_task("phantom", total=None)
    lines.update(task, total=9)
    for step in range(1, 8):
        lines.update(task, advance=1, text=f"case_{step}")
    assert said == [
        "phantom 2/9, 0:01:15: case_2",
        "phantom 5/9, 0:02:30: case_5",
    ]


def test_a_pipe_gets_lines_of_the_process_that_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):  # which rich obeys
        monkeypatch.delenv(variable, raising=False)
    for rank, written in (("0", "export 3/100, 0:00:00: folding\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        with progress() as display:
            task = display.add_task("export", total=100, text="reading")
            display.update(task, completed=3, text="folding", milestone=True)
            display.update(task, completed=4, text="more folding")
        assert capsys.readouterr().err == written


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress() as display:
        display.update(display.add_task("export", total=100), completed=3, text="folding", milestone=True)
    assert isinstance(display, Bars)
    assert "━" in capsys.readouterr().err


def test_a_line_said_above_bars_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=80)) as bars:
        task = bars.add_task("infer", total=3, text="")
        bars.say("Error: no\x1b[2Jcbf: it lacks CBF.")
        bars.update(task, advance=1, text="next")
    shown = screen.getvalue()
    assert "Error: no\ufffd[2Jcbf: it lacks CBF." in shown
    assert "\x1b[2J" not in shown


def test_names_do_not_command_the_terminal_below_a_bar():
    screen = io.StringIO()
    with Bars(Console(file=screen, force_terminal=True, width=80)) as bars:
        bars.add_task("infer", total=1, text="a\x1b]0;title\x07b")
    assert "\x1b]0;" not in screen.getvalue()
    assert "a\ufffd]0;title\ufffdb" in screen.getvalue()
