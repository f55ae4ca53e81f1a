"""Orthanc, a real archive, in a network of its own, where it hears nobody else and nobody hears it.

Version 1.10 listens on all addresses of a machine, and cannot be told otherwise.
"""

import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

__all__ = ["DICOM_PORT", "REPORT_PORT", "TITLE", "TOKEN", "URL", "Orthanc", "running_orthanc"]

T = TypeVar("T")

TITLE, DICOM_PORT, REPORT_PORT = "ORTHANC", 4242, 11112
URL = "http://127.0.0.1:8042"
TOKEN = f"Basic {b64encode(b'pusher:secret').decode()}"

_NEW_NETWORK, _SET_FLAGS, _UP_AND_RUNNING = 0x40000000, 0x8914, 0x41
_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


class Orthanc:
    """An archive that is running.

    Args:
        process: of it.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._network = f"/proc/{process.pid}/ns/net"

    def inside(self, call: Callable[[], T]) -> T:
        """What a call gives; its connections, and those of threads that it starts, are made in the archive's net."""
        found: list[T] = []
        faults: list[BaseException] = []

        def run() -> None:
            try:
                with open(self._network) as network:  # noqa: PTH123  the kernel's own
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(network.fileno(), _NEW_NETWORK):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(call())
            except BaseException as error:  # noqa: BLE001  raised again in the thread that asked
                faults.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        for fault in faults:
            raise fault
        return found[0]

    def get(self, path: str, accept: str = "*/*") -> bytes:
        """What it answers at a path."""
        headers = {"Authorization": TOKEN, "Accept": accept}

        def fetch() -> bytes:
            with urllib.request.urlopen(urllib.request.Request(URL + path, headers=headers), timeout=20) as answer:
                return answer.read()

        return self.inside(fetch)

    def json(self, path: str) -> Any:
        """The same as values."""
        return json.loads(self.get(path, "application/json"))


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """An empty archive with its files in a folder; skips where there is none."""
    binary = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if not binary or not _PLUGIN.exists():
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("Orthanc needs a network of its own, which takes root and unshare")
    (folder / "orthanc.json").write_text(json.dumps(_settings(folder)))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--net", binary, str(folder / "orthanc.json")],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TCP_NODELAY": "1"},  # of DCMTK; otherwise an object takes 50 ms, all but 5 of waiting
        )
        try:
            archive = Orthanc(process)
            _wait(process, archive)
            yield archive
        finally:
            process.kill()  # nobody needs what it has
            process.wait(30)


def _settings(folder: Path) -> dict[str, Any]:
    return {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(_PLUGIN)],
        "DicomAet": TITLE,
        "DicomPort": DICOM_PORT,
        "DicomCheckCalledAet": True,
        "HttpPort": 8042,
        "RegisteredUsers": {"pusher": "secret"},
        "AuthenticationEnabled": True,
        # where the report on a storage commitment goes
        "DicomModalities": {"known": ["CTPDEPLOY", "127.0.0.1", REPORT_PORT]},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }


def _wait(process: "subprocess.Popen[bytes]", archive: Orthanc) -> None:
    """Until it is in its network, that has a loopback, and it answers there."""
    own, end = Path("/proc/self/ns/net").readlink(), time.monotonic() + 30
    up = False
    while True:
        if process.poll() is not None:
            pytest.skip("Orthanc does not run here: a network of its own may not be allowed")
        try:
            if not up and Path(f"/proc/{process.pid}/ns/net").readlink() != own:
                archive.inside(_loopback_up)
                up = True
            if up:
                archive.get("/system")
                return
        except OSError:
            assert time.monotonic() < end, "Orthanc does not answer"
        time.sleep(0.05)


def _loopback_up() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP_AND_RUNNING))
