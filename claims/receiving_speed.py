"""How fast a node receives a study: beside DCMTK's storescp, from the same storescu, in turns.

DCMTK waits for 40 ms and more where the other side acknowledges late, unless TCP_NODELAY=1 is in its environment. So it
sends and receives both as installed and with that. The node keeps each image, on the disk before it is acknowledged;
storescp writes files and waits for no disk, as the node does with ``durable=False``. Quoted are milliseconds an image,
medians over rounds with the least and the greatest; the ceiling is the same bytes copied.

    python claims/receiving_speed.py
    python claims/receiving_speed.py --study 10x4x64 --rounds 3      # a rehearsal
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from dicom_speed import write_series

from ctpdeploy.benchmark.interleave import interleave
from ctpdeploy.benchmark.quantiles import Quantiles

STORESCP, STORESCU = "/usr/bin/storescp", "/usr/bin/storescu"
QUICK: Final = {"TCP_NODELAY": "1"}
SENDER, NODE = "CT1", "CTPDEPLOY"


def serve(folder: Path, port: int, durable: bool) -> None:
    """The node's listener, until it is killed."""
    from ctpdeploy.service.node.ledger import Ledger
    from ctpdeploy.service.node.listener import Listener
    from ctpdeploy.service.node.reception import Reception
    from ctpdeploy.service.node.settings import ListenConfig, NodeConfig, SenderConfig
    from ctpdeploy.service.node.spool import Spool

    config = NodeConfig(
        listen=ListenConfig(port=port, title=NODE), senders=(SenderConfig(title=SENDER, address="127.0.0.1"),)
    )
    reception = Reception(config, Spool(folder / "spool", durable=durable), Ledger(folder / "ledger.sqlite"))
    threading.Thread(target=Listener(config, reception).serve).start()


def received(files: list[Path], receiver: str, quick: bool) -> float:
    """Milliseconds an image, from the start of a sender to its end."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        speed = QUICK if quick else {}
        command = [STORESCP, "-aet", NODE, "-od", folder, str(port)]
        if receiver != "storescp":
            command = [sys.executable, __file__, "--serve", folder, str(port), str(receiver == "node")]
        environment = {**os.environ, **speed, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            send = [STORESCU, "-aet", SENDER, "-aec", NODE, "127.0.0.1", str(port), *map(str, files)]
            begun = time.perf_counter()
            subprocess.run(send, env={**os.environ, **speed}, check=True)
            return 1000 * (time.perf_counter() - begun) / len(files)
        finally:
            child.kill()
            child.wait()


def copied(files: list[Path]) -> float:
    """Milliseconds an image, of a copy."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        for number, file in enumerate(files):
            shutil.copyfile(file, Path(folder) / str(number))
        return 1000 * (time.perf_counter() - begun) / len(files)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", default="100x40x256", help="phases, slices, rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        folder, port, durable = options.serve
        serve(Path(folder), int(port), durable == "True")
        return
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), *map(int, options.study.split("x")))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        tasks = {
            f"{receiver}, {'TCP_NODELAY=1' if quick else 'as installed'}": partial(received, files, receiver, quick)
            for receiver in ("storescp", "node", "node without waiting for the disk")
            for quick in (False, True)
        }
        taken = interleave({**tasks, "copy": partial(copied, files)}, rounds=options.rounds, seed=1, on_turn=print)
    print(json.dumps({name: vars(Quantiles.of(values)) for name, values in taken.items()}, indent=2))


if __name__ == "__main__":
    main()
