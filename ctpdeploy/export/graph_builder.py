"""The workbench of the export: graphs made, merged, written, described and measured."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from ctpdeploy.export.graph import export_network, merge_pipeline, nodes_as_trained, tensor_shapes
from ctpdeploy.export.half import with_rounding
from ctpdeploy.export.precision import Graphs, Progress
from ctpdeploy.runtime.bundle.bundle import PIPELINE, FileDigest, Network
from ctpdeploy.runtime.gate.gate import chain_error, try_networks
from ctpdeploy.runtime.gate.reference import Reference
from ctpdeploy.runtime.gate.verification import Comparison, Limits
from ctpdeploy.runtime.preprocess.preprocess import PreprocessConfig
from ctpdeploy.train.networks.chain import OUTPUTS, Chain, source_channels

__all__ = ["Workbench"]

_RANKING_SLICES = 4


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """The trained chain and the constants and reference common to all of its graphs.

    Attributes:
        chain: as trained.
        constants: of the preprocessing.
        reference: that graphs are measured against.
    """

    chain: Chain
    constants: PreprocessConfig
    reference: Reference

    def export(self, folded: Chain, progress: Progress) -> Graphs:
        """Graphs of a folded chain, in float32."""
        graphs = {}
        for number, (role, sees) in enumerate(folded.wiring.items()):
            progress(f"exporting {role}", number / len(folded.wiring))
            graphs[role] = export_network(
                folded.get_submodule(role),
                shape=(source_channels(sees, self.constants.frames), *self.constants.slice_shape),
                inputs="_and_".join(sees),
                outputs=OUTPUTS[role],
            )
        return graphs

    def write(self, graphs: Graphs, folder: Path) -> dict[str, Network]:
        """Write graphs and their merger as ``ROLE.onnx``, and describe them."""
        merged = merge_pipeline(graphs, self.chain.wiring, frames=self.constants.frames)
        parameters = {role: sum(p.numel() for p in self.chain.get_submodule(role).parameters()) for role in graphs}
        sees = {**self.chain.wiring, PIPELINE: tuple(value.name for value in merged.graph.input)}
        parameters[PIPELINE] = sum(parameters.values())
        return {
            name: _written(model, folder / f"{name}.onnx", list(sees[name]), parameters[name])
            for name, model in {**graphs, PIPELINE: merged}.items()
        }

    def judge(self, candidate: str, limits: Limits, graphs: Graphs) -> Comparison:
        """Measure graphs."""
        with tempfile.TemporaryDirectory() as folder:
            networks = self.write(_as_computed(graphs), Path(folder))
            return try_networks(candidate, networks, Path(folder), self.reference, limits)

    def cost(self, graphs: Graphs) -> float:
        """Root mean square error of the probability at the end of the chain, on a few slices: it ranks layers."""
        with tempfile.TemporaryDirectory() as folder:
            network = self.write(_as_computed(graphs), Path(folder))[PIPELINE]
            return chain_error(network, Path(folder), self.reference.first(_RANKING_SLICES))

    def nodes(self, folded: Chain, graphs: Graphs) -> dict[str, tuple[int, int]]:
        """Operators of each network, exported as trained and folded."""
        counts = {}
        for role, graph in graphs.items():
            before = nodes_as_trained(self.chain.get_submodule(role), folded.get_submodule(role), graph)
            counts[role] = (before, len(graph.graph.node))
        return counts


def _as_computed(graphs: Graphs) -> Graphs:
    """Graphs that round on the CPU as they will on a GPU."""
    return {role: with_rounding(graph) for role, graph in graphs.items()}


def _written(model: onnx.ModelProto, path: Path, sees: list[str], parameters: int) -> Network:
    onnx.save(model, path)
    sealed = FileDigest.of(path)
    return Network(
        file=path.name,
        sha256=sealed.sha256,
        size=sealed.size,
        sees=sees,
        inputs=tensor_shapes(model.graph.input),
        outputs=tensor_shapes(model.graph.output),
        opset=model.opset_import[0].version,
        parameters=parameters,
        nodes=len(model.graph.node),
    )
