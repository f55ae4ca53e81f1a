"""The campaign of bundles: copies of a right one, each wrong in one way and sealed again, on one backend.

Either the gate or whatever comes before it refuses one, with exit code 4, 5 or 6 and a sentence of one line, or the
networks in it answer as those of the right one did.
"""

import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import onnx
from safetensors.numpy import load_file, save_file
from support import bundles

from campaign.bundle_judge import serve
from campaign.campaign import Counts, OnOutcome, in_turns
from campaign.judge import Outcome
from campaign.wrong_graphs import GRAPHS, MANIFESTS, REFERENCES, bytes_changed, pick
from ctpdeploy.runtime.bundle.bundle import PIPELINE
from ctpdeploy.runtime.gate.reference import FILE as REFERENCE

KINDS = (*GRAPHS, "bytes of a graph", *MANIFESTS, *REFERENCES)
OTHERS = 0.2
"""Share of the mutated graphs that are not the merged one."""
LONGEST_S = 120.0


class Judge:
    """A process that opens bundles and survives neither a crash nor a hang in one: then another takes its place.

    Args:
        backend: by name.
        right: the bundle before anything is wrong with it.
        case: folder of a case.
        log: file for what libraries print.
        longest_s: seconds for a bundle.
    """

    def __init__(self, backend: str, right: Path, case: Path, log: Path, *, longest_s: float = LONGEST_S) -> None:
        self._given = backend, right, case, log
        self._log, self._longest_s = log, longest_s
        self._start()

    def __call__(self, bundle: Path) -> Outcome:
        """What came of a bundle."""
        hung = False
        try:
            self._pipe.send(bundle)
            if not (hung := not self._pipe.poll(self._longest_s)):
                return self._pipe.recv()
        except (EOFError, OSError):
            pass
        if hung:
            self._process.kill()
        self._process.join()
        words = f"exit code {self._process.exitcode}: {self._log.read_text(errors='replace')[-300:]}"
        self.close()
        self._start()
        return Outcome(verdict="SLOW" if hung else "CRASHED", words=words)

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join()
        self._process.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, *self._given), daemon=True)
        self._process.start()
        theirs.close()
        if not self._pipe.poll(LONGEST_S) or not self._pipe.recv():
            raise AssertionError(f"the right bundle is refused: {self._log.read_text()}")


def run_bundles(
    right: Path,
    case: Path,
    backend: str,
    work: Path,
    *,
    count: int,
    seed: int,
    on_outcome: OnOutcome = lambda *_: None,
) -> Counts:
    """Spoil, seal and judge.

    Args:
        right: a bundle in a folder.
        case: folder of a case, on which a bundle that is not refused has to answer as before.
        backend: by name.
        work: folder for copies, which are removed again.
        count: wrong bundles; kinds come in turns.
        seed: of the choices.
        on_outcome: called with the number, the kind and the outcome of each.
    """
    work.mkdir(parents=True, exist_ok=True)
    log = work / "printed"
    judge = Judge(backend, right, case, log)

    def attempt(kind: str, copy: Path, rng: np.random.Generator) -> Outcome:
        wrong = Path(shutil.copytree(right, copy / "wrong.ctpbundle"))
        spoil(wrong, kind, rng)
        return judge(wrong)

    try:
        return in_turns(KINDS, work, attempt, count=count, seed=seed, on_outcome=on_outcome)
    finally:
        judge.close()
        log.unlink(missing_ok=True)


def spoil(folder: Path, name: str, rng: np.random.Generator) -> None:
    """One mutation of a bundle, sealed."""
    if name in MANIFESTS:
        bundles.edit_manifest(folder, lambda content: MANIFESTS[name](content, rng))
    elif name in REFERENCES:
        arrays = load_file(folder / REFERENCE)
        REFERENCES[name](arrays, rng)
        save_file({of: np.ascontiguousarray(array) for of, array in arrays.items()}, folder / REFERENCE)
        bundles.reseal(folder)
    else:
        roles = sorted(path.stem for path in folder.glob("*.onnx") if path.stem != PIPELINE)
        role = pick(roles, rng) if rng.random() < OTHERS else PIPELINE
        if name in GRAPHS:
            bundles.edit_network(folder, lambda model: GRAPHS[name](model, rng), role)
            _state(folder, role)
        else:
            file = folder / f"{role}.onnx"
            file.write_bytes(bytes_changed(file.read_bytes(), rng))
            bundles.reseal(folder)


def _state(folder: Path, role: str) -> None:
    """Put inputs, outputs and the opset of a graph into the manifest, as far as it can state them."""
    model = onnx.load(folder / f"{role}.onnx")

    def shapes(values: list[onnx.ValueInfoProto]) -> dict[str, list[int | str]]:
        return {
            value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
            for value in values
        }

    bundles.edit_manifest(
        folder,
        lambda content: content["networks"][role].update(
            inputs=shapes(model.graph.input),
            outputs=shapes(model.graph.output),
            opset=model.opset_import[0].version,
        ),
    )
