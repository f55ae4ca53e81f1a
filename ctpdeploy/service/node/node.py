"""Node: its parts, from start to stop.

::

    FOLDER/ledger.sqlite            states
    FOLDER/spool/STUDY/*.dcm        images
    FOLDER/results/STUDY/           result of a study; STUDY-1, STUDY-2, ... where it holds several scans
    FOLDER/audit.jsonl              audit trail
"""

import os
import threading
from functools import partial
from pathlib import Path
from typing import Final

from ctpdeploy.errors import UsageError
from ctpdeploy.runtime.bundle.trust import Signer
from ctpdeploy.runtime.pipeline import Pipeline
from ctpdeploy.service.node.archives import open_archive
from ctpdeploy.service.node.audit import Audit
from ctpdeploy.service.node.computation import Computation
from ctpdeploy.service.node.courier import Courier
from ctpdeploy.service.node.events import Act, Event
from ctpdeploy.service.node.ledger import Ledger
from ctpdeploy.service.node.listener import Listener
from ctpdeploy.service.node.loop import Loop
from ctpdeploy.service.node.page import PageServer
from ctpdeploy.service.node.page.subject import Subject
from ctpdeploy.service.node.reception import Reception
from ctpdeploy.service.node.retention import Retention
from ctpdeploy.service.node.settings import NodeConfig
from ctpdeploy.service.node.spool import Spool
from ctpdeploy.service.node.tally import Tally

__all__ = ["LEDGER", "RESULTS", "SPOOL", "Node"]

LEDGER, SPOOL, RESULTS = "ledger.sqlite", "spool", "results"
_LOCK: Final = "lock"
_MB: Final = 2**20

_IDLE: Final = 0.5
"""Seconds between two looks at the ledger where nothing is to be done: others may change it too."""

_RETENTION_EVERY: Final = 60.0
"""Seconds between two looks at what may be removed."""


class Node:
    """A node that runs until it is stopped.

    Args:
        config: of it.
        signer: who has to have signed the bundle, as for :meth:`ctpdeploy.runtime.Pipeline.open`.
        durable: as for :class:`ctpdeploy.service.node.spool.Spool`.

    Raises:
        UsageError: its folder is another node's at this time, or a port cannot be listened on.
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
        self.ledger = Ledger(folder / LEDGER)
        self.spool = Spool(folder / SPOOL, durable=durable)
        self._pipeline = Pipeline.open(config.bundle, backend=config.backend, signer=signer)
        self.audit, self.tally = Audit(folder, config.listen.title), Tally()
        self.reception = Reception(
            config, self.spool, self.ledger, on_complete=lambda: self._computing.wake(), note=self._note
        )
        self.ledger.resume()
        self.reception.recover()
        couriers = [
            Courier(one, open_archive(one, config.listen.title), self.ledger, self.results, note=self._note)
            for one in config.archives
        ]
        computation = Computation(
            config,
            self.spool,
            self.ledger,
            self.results,
            self._pipeline,
            on_result=self._wake_couriers,
            note=self._note,
        )
        self._retention = retention = Retention(
            config.retention, self.spool, self.ledger, self.results, guard=self.reception.lock, note=self._note
        )
        self._computing = Loop("computation", lambda: _IDLE * (not computation.next()))
        self._couriers = [Loop(f"courier to {one.address}", partial(_deliver, one)) for one in couriers]
        self._others = [Loop("arrivals", self.reception.settle), Loop("retention", partial(_retain, retention))]
        self.page = PageServer(config.page, self._subject()) if config.page.port is not None else None
        try:
            self.listener = Listener(config, self.reception, note=self._note)
        except BaseException:
            if self.page:
                self.page.close()
            raise
        self._threads = [
            threading.Thread(target=self.listener.serve, name="listener", daemon=True),
            *(
                threading.Thread(target=loop.run, name=loop.name, daemon=True)
                for loop in (*self._couriers, *self._others)
            ),
        ]

    def run(self) -> None:
        """Run until ``stop``; networks are used in the calling thread alone."""
        for thread in self._threads:
            thread.start()
        if self.page:
            self.page.start()
        self._note(Event(act=Act.STARTED))
        try:
            self._computing.run()
        finally:
            self.listener.close()
            for loop in (*self._couriers, *self._others):
                loop.stop()
            if self.page:
                self.page.close()
            for thread in self._threads:
                thread.join(timeout=10.0)
            self._note(Event(act=Act.STOPPED))
            self.ledger.close()
            self._pipeline.close()
            os.close(self._lock)

    def stop(self) -> None:
        """End ``run`` when what is at work is done."""
        self._computing.stop()

    def faults(self) -> list[str]:
        """Why it is not well, a sentence each; none while it is."""
        dead = [f"The thread '{thread.name}' has ended." for thread in self._threads if not thread.is_alive()]
        loops = (self._computing, *self._couriers, *self._others)
        failing = [f"In '{loop.name}' something went wrong: {loop.fault}." for loop in loops if loop.fault]
        least = self.config.limits.free_mb
        full = self.spool.free() < least * _MB
        return [
            *dead,
            *failing,
            *([f"The disk has less than {least} MB left: nothing more is taken."] if full else []),
            *([self.audit.fault] if self.audit.fault else []),
        ]

    def _subject(self) -> Subject:
        provenance, info = self._pipeline.provenance, self._pipeline.engine.info
        bundle = provenance.bundle if provenance else {}
        return Subject(
            title=self.config.listen.title,
            bundle=f"{bundle.get('name')} {str(bundle.get('sha256'))[:12]}",
            backend=f"{info.backend} on {info.device}",
            ledger=self.ledger,
            results=self.results,
            tally=self.tally,
            note=self._note,
            free=self.spool.free,
            used=lambda: self._retention.used,
            received=lambda: self.reception.received,
            faults=self.faults,
        )

    def _note(self, event: Event) -> None:
        self.audit.note(event)
        self.tally.note(event)

    def _wake_couriers(self) -> None:
        for courier in self._couriers:
            courier.wake()


def _deliver(courier: Courier) -> float:
    return _IDLE * (not courier.next())


def _retain(retention: Retention) -> float:
    retention.apply()
    return _RETENTION_EVERY


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
