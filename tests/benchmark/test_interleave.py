import pytest

from ctpdeploy.benchmark.interleave import interleave, rounds_within, timed


def play(seed: int) -> list[str]:
    """Whose turn it was, over six rounds of three."""
    turns: list[str] = []
    interleave({name: lambda name=name: turns.append(name) for name in "abc"}, rounds=6, seed=seed)
    return turns


def test_each_has_one_turn_a_round_in_an_order_that_changes():
    turns = play(0)
    rounds = [turns[i : i + 3] for i in range(0, len(turns), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 2


def test_the_order_is_that_of_the_seed():
    assert play(3) == play(3)
    assert play(3) != play(4)


def test_results_come_back_round_by_round_and_turns_are_told():
    count, told = iter(range(100)), []
    found = interleave({"a": lambda: next(count), "b": lambda: -1}, rounds=3, seed=0, on_turn=told.append)
    assert found == {"a": [0, 1, 2], "b": [-1, -1, -1]}
    assert sorted(told) == ["a"] * 3 + ["b"] * 3


@pytest.mark.parametrize(("a_round", "rounds"), [(0.0, 100), (0.1, 100), (2.0, 20), (30.0, 3), (1e9, 3)])
def test_rounds_fit_into_the_time_and_are_never_too_few(a_round: float, rounds: int):
    assert rounds_within(40.0, a_round) == rounds


def test_what_is_timed_runs_once_each_time():
    calls = []
    task = timed(lambda: calls.append(1))
    assert task() >= 0.0
    assert task() >= 0.0
    assert len(calls) == 2
