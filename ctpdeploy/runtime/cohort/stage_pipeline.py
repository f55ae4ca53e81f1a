"""Three stages in a row that work at the same time, each on an item of its own.

::

    reader thread     first(c)
    calling thread              middle(b)
    writer thread                         last(a)

The middle stage stays in the calling thread, since what it holds may belong to that thread, as a CUDA context does.
An item is begun only when the stage behind has room for the one before it, so that at most one is in each stage, at
work or waiting: memory holds three at most, however many there are, and whichever stage is slow.
"""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from contextlib import closing
from threading import Thread
from typing import Any, TypeVar

__all__ = ["run_stages"]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


def run_stages(
    items: Iterable[T], first: Callable[[T], A], middle: Callable[[A], B], last: Callable[[B], C]
) -> "closing[Generator[Future[C], None, None]]":
    """Pass items through three stages.

    ::

        with run_stages(items, first, middle, last) as outcomes:
            for outcome in outcomes:
                outcome.result()

    What a stage raises ends the way of that item and of no other. However the block is left, the last stage is at rest
    then; an item in the first is abandoned, and with it the process may end.

    Args:
        items: taken one by one, in the calling thread.
        first: run in a thread of its own; must leave nothing behind when the process ends in the middle of it.
        middle: run in the calling thread.
        last: run in a thread of its own.

    Returns:
        A finished future for each item, in the order of the items: what the last stage returned, or what was raised.
    """
    return closing(_outcomes(items, first, middle, last))


def _outcomes(
    items: Iterable[T], first: Callable[[T], A], middle: Callable[[A], B], last: Callable[[B], C]
) -> Generator[Future[C], None, None]:
    begun = (_begin(first, item, daemon=True) for item in items)
    in_first, in_last = next(begun, None), None
    try:
        while in_first is not None:
            wait([in_first])
            arrived, in_first = in_first, next(begun, None)
            passed_on = _then(middle, arrived)
            del arrived
            if in_last is not None:
                wait([in_last])
                yield in_last
            in_last = _begin(last, passed_on.result(), daemon=False) if _went_well(passed_on) else passed_on
            del passed_on
        if in_last is not None:
            wait([in_last])
            yield in_last
    finally:
        if in_last is not None:
            wait([in_last])


def _begin(stage: Callable[[Any], Any], item: object, *, daemon: bool) -> Future[Any]:
    """Run a stage in a thread; a process that ends waits for it unless it is a daemon."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(stage(item))
        except BaseException as error:  # noqa: BLE001  raised again where the result is taken
            future.set_exception(error)

    Thread(target=run, name=f"conveyor: {stage}", daemon=daemon).start()
    return future


def _then(stage: Callable[[Any], Any], before: Future[Any]) -> Future[Any]:
    """Run a stage here and now on what came out of the one before, or pass on what that raised."""
    if not _went_well(before):
        return before
    future: Future[Any] = Future()
    try:
        future.set_result(stage(before.result()))
    except Exception as error:  # noqa: BLE001  an interruption is no outcome
        future.set_exception(error)
    return future


def _went_well(future: Future[Any]) -> bool:
    return future.exception() is None
