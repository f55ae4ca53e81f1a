"""Node: its parts, from start to stop.

::

    FOLDER/ledger.sqlite            states
    FOLDER/spool/STUDY/*.dcm        images
    FOLDER/results/STUDY/           result of a study; STUDY-1, STUDY-2, ... where it holds several scans
"""

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.bundle.trust import Signer
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.service.node.archives import open_archive
from ctpdeploy.service.node.computation import Computation
from ctpdeploy.service.node.courier import Courier
from ctpdeploy.service.node.ledger import Ledger
from ctpdeploy.service.node.listener import Listener
from ctpdeploy.service.node.reception import Reception
from ctpdeploy.service.node.retention import Retention
from ctpdeploy.service.node.settings import NodeConfig
from ctpdeploy.service.node.spool import Spool

__all__ = ["LEDGER", "RESULTS", "SPOOL", "Node"]

_log = logging.getLogger(__package__)

LEDGER, SPOOL, RESULTS = "ledger.sqlite", "spool", "results"
_LOCK: Final = "lock"

_RETENTION_EVERY: Final = 60.0
"""Seconds between two looks at what may be removed."""


class Node:
    """A node that runs until it is stopped.

    Args:
        config: of it.
        signer: who has to have signed the bundle, as for :meth:`ctpdeploy.runtime.Pipeline.open`.
        durable: as for :class:`ctpdeploy.service.node.spool.Spool`.

    Raises:
        UsageError: its folder is another node's at this time, or its port cannot be listened on.
        InputError: its bundle or its ledger cannot be used.
        BackendError: its backend cannot run here.
    """

    def __init__(self, config: NodeConfig, *, signer: Signer = None, durable: bool = True) -> None:
        self.config = config
        folder = Path(config.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self.results = folder / RESULTS
        self.results.mkdir(exist_ok=True)
        self._stop = threading.Event()
        self._wakes = [threading.Event() for _ in range(1 + len(config.archives))]
        self.ledger = Ledger(folder / LEDGER)
        self.spool = Spool(folder / SPOOL, durable=durable)
        self._pipeline = Pipeline.open(config.bundle, backend=config.backend, signer=signer)
        self.reception = Reception(config, self.spool, self.ledger, on_complete=self._wakes[0].set)
        self.ledger.resume()
        self.reception.recover()
        self.listener = Listener(config, self.reception)
        self._couriers = [
            Courier(one, open_archive(one, config.listen.title), self.ledger, self.results) for one in config.archives
        ]

    def run(self) -> None:
        """Run until ``stop``; networks are used in the calling thread alone."""
        threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (
                ("listener", self.listener.serve),
                ("arrivals", self._settle),
                ("retention", self._retain),
                *(
                    (f"courier-{number}", _bound(courier.run, self._stop, wake))
                    for number, (courier, wake) in enumerate(zip(self._couriers, self._wakes[1:], strict=True), start=1)
                ),
            )
        ]
        for thread in threads:
            thread.start()
        computation = Computation(
            self.config, self.spool, self.ledger, self.results, self._pipeline, on_result=self._deliver
        )
        try:
            computation.run(self._stop, self._wakes[0])
        finally:
            self._stop.set()
            self.listener.close()
            for wake in self._wakes:
                wake.set()
            for thread in threads:
                thread.join(timeout=10.0)
            self.ledger.close()
            self._pipeline.close()
            os.close(self._lock)

    def stop(self) -> None:
        """End ``run`` when what is at work is done."""
        self._stop.set()
        for wake in self._wakes:
            wake.set()

    def _deliver(self) -> None:
        for wake in self._wakes[1:]:
            wake.set()

    def _settle(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = self.reception.settle()

    def _retain(self) -> None:
        keep = self.config.retention
        retention = Retention(keep, self.spool, self.ledger, self.results, guard=self.reception.lock)
        while True:
            retention.apply()
            if self._stop.wait(_RETENTION_EVERY):
                return


def _bound(run: Callable[[threading.Event, threading.Event], None], *events: threading.Event) -> Callable[[], None]:
    return lambda: run(*events)


def _locked(folder: Path) -> int:
    """The lock of a folder, which its owner's end releases whatever ends it.

    Raises:
        UsageError: another node has it.
    """
    import fcntl  # not of Windows

    descriptor = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(f"{folder} belongs to a node that is running: stop it, or name another folder.") from error
    return descriptor
