"""Interruptions: SIGINT and SIGTERM end a command in the same way, so that nothing half written stays behind."""

import os
import signal
from types import FrameType

__all__ = ["Interruption", "raise_on_signals"]


class Interruption(BaseException):
    """The command is to end; no ``Exception``, since no case may take it for its own.

    Args:
        number: of the signal.

    Attributes:
        exit_code: 128 and the number of the signal, as shells count.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(number).name}. What is complete stays.")
        self.exit_code = 128 + number


def raise_on_signals() -> None:
    """Have SIGINT and SIGTERM raise :class:`Interruption` in this process from now on, unless they are ignored.

    Processes that this one forks die of them as ever.
    """
    process = os.getpid()

    def interrupt(number: int, _: FrameType | None) -> None:
        if os.getpid() != process:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise Interruption(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup and shells have it for what is in the background
            signal.signal(number, interrupt)
