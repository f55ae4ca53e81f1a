"""Tally: how often what happened since the node began, and how long results took; what Prometheus calls counters."""

import threading
from bisect import bisect_left
from collections import Counter
from typing import Final

from ctpdeploy.service.node.events import Act, Event

__all__ = ["BOUNDS", "Histogram", "Tally"]

BOUNDS: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 86400.0)
"""Seconds by which durations are told apart."""


class Histogram:
    """Durations by the first of ``BOUNDS`` that they do not exceed.

    Attributes:
        counts: for each of ``BOUNDS``, and of what exceeds all.
        total: s.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds


class Tally:
    """The tally of a node, for all threads.

    Attributes:
        events: by what happened.
        seconds: from the last image to a result that was made, and to one that was delivered.
    """

    def __init__(self) -> None:
        self.events: Counter[Act] = Counter()
        self.seconds = {Act.COMPUTED: Histogram(), Act.DELIVERED: Histogram()}
        self._lock = threading.Lock()

    def note(self, event: Event) -> None:
        """Count an event."""
        with self._lock:
            self.events[event.act] += 1
            if event.act in self.seconds and event.since_last_image is not None:
                self.seconds[event.act].add(event.since_last_image)
