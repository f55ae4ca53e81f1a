"""From ONNX to a parsed network, in which every tensor has a type."""

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ctpdeploy.errors import BackendError
from ctpdeploy.runtime.backends.trt.callbacks import collecting_logger
from ctpdeploy.runtime.backends.trt.packages import Native

__all__ = ["ParsedNetwork", "parse"]

Shapes = Mapping[str, Sequence[int | str]]


@dataclass(frozen=True, kw_only=True)
class ParsedNetwork:
    """A network in the package's own objects.

    Attributes:
        trt: the package.
        logger: collects its errors.
        builder: made the network and builds the engine.
        network: layers and tensors, strongly typed.
        parser: holds the weights; the network only points to them.
    """

    trt: ModuleType
    logger: Native
    builder: Native
    network: Native
    parser: Native


def parse(trt: ModuleType, onnx: bytes, *, inputs: Shapes, outputs: Shapes) -> ParsedNetwork:
    """Parse a network and compare it with its entry in the bundle.

    Args:
        trt: ``tensorrt`` or ``tensorrt_rtx``.
        onnx: the network with its weights.
        inputs: shapes by name; a word stands for the free batch axis. All are float32.
        outputs: likewise.

    Raises:
        BackendError: the parser refuses the network; names node and operator. Or it makes another one of it.
    """
    logger = collecting_logger(trt)
    builder = _made(lambda: trt.Builder(logger), "builder", logger)
    network = _made(lambda: builder.create_network(_strongly_typed(trt)), "network", logger)
    parser = _made(lambda: trt.OnnxParser(network, logger), "parser", logger)
    # weights in files beside the network would escape its hash: they are looked for in a folder that is empty
    with tempfile.TemporaryDirectory() as empty:
        if not parser.parse(onnx, str(Path(empty) / "network.onnx")):
            raise BackendError(f"{_name(trt)} refuses the network: {_parser_errors(parser, logger)}")
    parsed = ParsedNetwork(trt=trt, logger=logger, builder=builder, network=network, parser=parser)
    _compare(parsed, inputs, outputs)
    return parsed


def _made(make: Callable[[], Native], what: str, logger: Native) -> Native:
    """Call a factory of the package; one that fails returns None or, where it is a constructor, raises TypeError."""
    with suppress(TypeError):
        if (made := make()) is not None:
            return made
    raise BackendError(f"TensorRT makes no {what}: {logger.reasons()}; see what ctpdeploy doctor says.")


def _strongly_typed(trt: ModuleType) -> int:
    """Creation flags: for TensorRT 10, that types are those of the graph; 11 and RTX have no other mode."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parser_errors(parser: Native, logger: Native) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    sentences = [
        f"node '{error.node_name()}' with operator {error.node_operator()}, "
        f"{_last_word(error.code())} in {error.func()} ({' '.join(error.desc().split())})"
        for error in errors
    ]
    return ("; ".join(sentences) or logger.reasons()) + ": choose another backend for this bundle."


def _last_word(code: Native) -> str:
    """Name of an error code; its attribute ``name`` is broken in TensorRT 10.13."""
    return str(code).rpartition(".")[2]


def _compare(parsed: ParsedNetwork, inputs: Shapes, outputs: Shapes) -> None:
    """Refuse other names, shapes and types; bytes that are no ONNX at all are parsed into an empty network."""
    network = parsed.network
    found = {
        "inputs": _tensors(network.get_input(i) for i in range(network.num_inputs)),
        "outputs": _tensors(network.get_output(i) for i in range(network.num_outputs)),
    }
    for side, sealed in {"inputs": inputs, "outputs": outputs}.items():
        expected = {name: ("FLOAT", [-1 if isinstance(n, str) else n for n in sealed[name]]) for name in sealed}
        if found[side] != expected:
            raise BackendError(
                f"{_name(parsed.trt)} reads the {side} {found[side]} where the bundle has {expected}: "
                "export the bundle again."
            )


def _tensors(tensors: Iterable[Native]) -> dict[str, tuple[str, list[int]]]:
    return {tensor.name: (tensor.dtype.name, list(tensor.shape)) for tensor in tensors}


def _name(trt: ModuleType) -> str:
    return f"{trt.__name__} {trt.__version__}"
