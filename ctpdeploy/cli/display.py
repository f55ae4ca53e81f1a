"""Progress on stderr: bars where it is a terminal, now and then a plain line where it is a pipe or a log."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from ctpdeploy.printable import printable

__all__ = ["Bars", "Display", "Lines"]

LINE_EVERY_S: Final = 60.0
"""Interval of lines between milestones."""


class Display(Protocol):
    """Tasks under way, each a count and a text; what is left out of an update stays as it is.

    A milestone, such as the end of an epoch, is worth a line in a log; bars pass over it.
    """

    def add_task(self, description: str, *, total: float | None, text: str = "", visible: bool = True) -> TaskID:
        """A new task; a total of None is unknown as yet."""

    def update(
        self,
        task_id: TaskID,
        *,
        total: float | None = None,
        completed: float | None = None,
        advance: float | None = None,
        visible: bool | None = None,
        text: str = ...,
        milestone: bool = ...,
    ) -> None:
        """A step forward, by ``advance`` or to ``completed``."""

    def say(self, text: str) -> None:
        """A line for people, above what is under way."""


class Bars(Progress):
    """A bar for each task and its text below, cut where the terminal ends; the bars fit into 80 columns."""

    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(Text(printable(text)), soft_wrap=True)

    def get_renderables(self) -> Iterable[RenderableType]:
        """The bars, then the texts."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.visible and (text := task.fields.get("text")):
                yield Text(f"  {printable(text)}", no_wrap=True, overflow="ellipsis")


class Lines:
    """A line for each milestone, and else at most one a minute.

    Args:
        say: takes a line.
        clock: seconds since whenever.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._tasks: list[_Task] = []
        self._begun = self._latest = clock()

    def say(self, text: str) -> None:
        """A line among the others."""
        self._say(text)

    def add_task(self, description: str, *, total: float | None, text: str = "", visible: bool = True) -> TaskID:  # noqa: ARG002  Display's
        """A new task."""
        self._tasks.append(_Task(description, total, text))
        return TaskID(len(self._tasks) - 1)

    def update(
        self,
        task_id: TaskID,
        *,
        total: float | None = None,
        completed: float | None = None,
        advance: float | None = None,
        visible: bool | None = None,  # noqa: ARG002  Display's
        text: str | None = None,
        milestone: bool = False,
    ) -> None:
        """A step forward, and a line where one is due."""
        task, now = self._tasks[task_id], self._clock()
        task.total = task.total if total is None else total
        task.text = task.text if text is None else text
        task.completed = (task.completed if completed is None else completed) + (advance or 0)
        if milestone or now - self._latest >= LINE_EVERY_S:
            self._latest = now
            self._say(f"{task}, {timedelta(seconds=int(now - self._begun))}" + (f": {task.text}" if task.text else ""))


@dataclass
class _Task:
    description: str
    total: float | None
    text: str
    completed: float = 0

    def __str__(self) -> str:
        """Its progress: ``reading 3/40``."""
        return f"{self.description} {self.completed:g}/{'?' if self.total is None else f'{self.total:g}'}"
