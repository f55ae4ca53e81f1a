"""A node in a process of its own, for campaigns against it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctpdeploy.service.node.ledger import Ledger

__all__ = ["free_port", "ledger_of", "node_process", "write_settings"]

_SETTINGS = """
bundle = "{bundle}"
folder = "node"
backend = "ort-cpu"
[listen]
port = {port}
[complete]
settle_s = 1.0
quiet_s = 20.0
[[senders]]
title = "CT1"
address = "127.0.0.1"
[[archives]]
address = "ARCHIVE@127.0.0.1:{archive}"
"""


def write_settings(work: Path, bundle: Path, port: int, archive: int, more: str = "") -> Path:
    """Settings of a node in ``work/node`` that lets this machine in and delivers to an archive on it."""
    file = work / "node.toml"
    file.write_text(_SETTINGS.format(bundle=bundle.absolute(), port=port, archive=archive) + more)
    return file


@contextmanager
def node_process(settings: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """``ctpdeploy serve``, killed at the end if it still runs; what it says goes to ``log`` beside its settings."""
    command = [sys.executable, "-m", "ctpdeploy", "serve", str(settings)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (settings.parent / "log").open("ab") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield child
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def ledger_of(work: Path) -> Ledger:
    """The ledger of that node."""
    return Ledger(work / "node" / "ledger.sqlite")


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
