"""A clock that goes on only when it is told to."""

from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


class Clock:
    """Stands in for ``time.perf_counter`` everywhere."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def spend(self, seconds: float) -> None:
        self.now += seconds

    def taking(self, seconds: float, call: Callable[..., T]) -> Callable[..., T]:
        """The same, which takes this long."""

        def slow(*arguments: object, **options: object) -> T:
            self.spend(seconds)
            return call(*arguments, **options)

        return slow
