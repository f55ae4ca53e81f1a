"""Measuring in rounds: what is compared takes turns in random order, so that what disturbs the machine disturbs all."""

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import numpy as np

__all__ = ["interleave", "rounds_within", "timed"]

Result = TypeVar("Result")

LEAST_ROUNDS: Final = 3
"""A median of fewer values is meaningless."""
MOST_ROUNDS: Final = 100
"""Enough for a 99th percentile."""


def interleave(
    tasks: Mapping[str, Callable[[], Result]],
    *,
    rounds: int,
    seed: int,
    on_turn: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Result]]:
    """Run each task once a round, in an order drawn anew for each round.

    Args:
        tasks: by name.
        rounds: how many.
        seed: of the order.
        on_turn: called with the name of the task whose turn it is.

    Returns:
        The results of each task, round by round.
    """
    order, names = np.random.default_rng(seed), list(tasks)
    results: dict[str, list[Result]] = {name: [] for name in names}
    for _ in range(rounds):
        for i in order.permutation(len(names)):
            on_turn(names[i])
            results[names[i]].append(tasks[names[i]]())
    return results


def timed(run: Callable[[], object]) -> Callable[[], float]:
    """A task that returns how many seconds another one takes."""

    def measured() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    return measured


def rounds_within(seconds: float, seconds_a_round: float) -> int:
    """As many rounds as fit into a time, at least ``LEAST_ROUNDS`` and at most ``MOST_ROUNDS``."""
    return int(np.clip(seconds / max(seconds_a_round, 1e-9), LEAST_ROUNDS, MOST_ROUNDS))
