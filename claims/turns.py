"""Tasks in turns, beside the machine's own speed: how many times as fast as each other and as its matrix product.

A ratio is taken within a round, where other work on the machine disturbs both sides alike; stated is the median over
rounds, with the least and the greatest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from networks import CEILINGS, DIRECT

from ctpdeploy.benchmark.ceilings import Ceilings, measure_ceilings
from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.quantiles import Quantiles

__all__ = ["Measured", "take_turns"]

MACHINE: Final = "the machine"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures, and the machine's speed beside them.

    Attributes:
        figures: for JSON.
        machine: its own speed, round by round.
    """

    figures: dict[str, Any]
    machine: list[Ceilings]


def take_turns(
    tasks: Mapping[str, Callable[[], float]],
    *,
    references: Mapping[str, str],
    gflop: float,
    rounds: int,
    seed: int,
    say: Callable[[str], None],
) -> Measured:
    """Seconds of each task, and how many times as fast as others and as the matrix product it was.

    Args:
        tasks: return seconds, by name.
        references: tasks to compare with, by the name of the ratio; left out where there is no such task.
        gflop: multiplications and additions of a task if it convolves directly, in 1e9.
        rounds: how many.
        seed: of the order of turns.
        say: called with the name of the task whose turn it is.
    """
    taken: dict[str, list[Any]] = interleave(
        {**tasks, MACHINE: measure_ceilings}, rounds=rounds, seed=seed, on_turn=say
    )
    machine: list[Ceilings] = taken.pop(MACHINE)
    ceilings = {name: [gflop * share / x.sgemm_gflops for x in machine] for name, share in CEILINGS.items()}

    def compared(seconds: list[float]) -> dict[str, Any]:
        others = {key: taken[name] for key, name in references.items() if name in taken}
        others["of_matrix_product"] = ceilings[DIRECT]
        ratios = {key: Quantiles.of_ratio(other, seconds) for key, other in others.items()}
        return {"seconds": Quantiles.of(seconds)} | ratios

    of_ceilings = {name: {"gflop": gflop * CEILINGS[name]} | compared(ceilings[name]) for name in CEILINGS}
    peers = {name: compared(seconds) for name, seconds in taken.items()}
    return Measured(figures={"ceilings": of_ceilings, "peers": peers}, machine=machine)
