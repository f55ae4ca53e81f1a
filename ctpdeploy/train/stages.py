"""The stages of a run: which networks learn together, for how many epochs."""

from collections.abc import Iterable
from dataclasses import dataclass

from ctpdeploy.errors import UsageError
from ctpdeploy.paper.systems import Role, system_named
from ctpdeploy.train.settings import TrainConfig

__all__ = ["Stage", "require_longer", "stages_of"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a run.

    Attributes:
        learns: the networks that learn; all others stay as they are.
        begin: epochs of the run before it.
        epochs: of its own.
    """

    learns: tuple[Role, ...]
    begin: int
    epochs: int

    @property
    def end(self) -> int:
        """Epochs of the run up to its last one."""
        return self.begin + self.epochs


def stages_of(config: TrainConfig) -> tuple[Stage, ...]:
    """The stages of the system, before one that learns all at once a warm start of the synthesis where configured."""
    stages: list[tuple[tuple[Role, ...], int]] = []
    for learns in system_named(config.system).stages:
        synthesis = tuple(role for role in learns if role != "segmenter")
        if config.warm_start and synthesis and synthesis != learns:
            stages.append((synthesis, config.warm_start))
        stages.append((learns, config.epochs))
    return tuple(_in_turn(stages))


def _in_turn(stages: Iterable[tuple[tuple[Role, ...], int]]) -> Iterable[Stage]:
    begin = 0
    for learns, epochs in stages:
        yield Stage(learns=learns, begin=begin, epochs=epochs)
        begin += epochs


def require_longer(begun: TrainConfig, config: TrainConfig, run: str) -> None:
    """Refuse other epochs than more of a last stage: an earlier one is over, or its epochs are counted already.

    Args:
        begun: what the run was begun with.
        config: the same with other epochs.
        run: its name in error messages.

    Raises:
        UsageError: they are fewer, or those of an earlier stage too.
    """
    if config.epochs < begun.epochs:
        raise UsageError(
            f"The run in {run} has {begun.epochs} epochs, which can only be raised, not to {config.epochs}."
        )
    if stages_of(begun)[:-1] != stages_of(config)[:-1]:
        raise UsageError(
            f"The run in {run} trains its networks in {len(stages_of(begun))} stages of {begun.epochs} epochs each, "
            "and only the last one could be longer: begin elsewhere."
        )
