"""Find the lesion in a CT perfusion case, with the networks on a Triton server.

Research use only, not for clinical use.

With ctpdeploy and its extra ``triton`` installed::

    python client.py CASE --url localhost:8001 --out results

Reads, prepares and writes the case as ``ctpdeploy infer`` does. Only scaled slices go to the server.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ctpdeploy import INTENDED_USE
from ctpdeploy.errors import BackendError, CtpdeployError
from ctpdeploy.optional import require
from ctpdeploy.printable import printable
from ctpdeploy.runtime import Pipeline, read_case, write_prediction
from ctpdeploy.runtime.backends.engine import Engine, closed
from ctpdeploy.runtime.bundle.bundle import MANIFEST, sha256_of
from ctpdeploy.runtime.bundle.manifest import read_manifest
from ctpdeploy.runtime.data.model_card import stored_card
from ctpdeploy.runtime.data.perfusion_config import stored_perfusion
from ctpdeploy.runtime.data.prediction import EngineInfo, Provenance
from ctpdeploy.runtime.data.slices import SliceBatch, SliceOutputs
from ctpdeploy.runtime.preprocess.preprocess import stored_config

HERE = Path(__file__).resolve().parent


class TritonEngine(Engine):
    """The merged network behind the gRPC port of a Triton server, as one more engine of ctpdeploy.

    Args:
        url: host and port.
        model: name of the model.
        timeout: seconds to wait for an answer.

    Raises:
        BackendError: no server responds, or there is no such model.
    """

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._grpc, self._utils = (require(f"tritonclient.{part}", extra="triton") for part in ("grpc", "utils"))
        self._url, self._model, self._timeout = url, model, timeout
        self._closed = False
        self._client = self._grpc.InferenceServerClient(url)
        self._config = self._request("get_model_config", model).config
        self._version = self._request("get_server_metadata").version

    def parameter(self, key: str) -> str:
        """A parameter in the configuration of the model, on its origin."""
        return str(self._config.parameters[key].string_value)

    @property
    def info(self) -> EngineInfo:
        """The server's backend and versions, for the report."""
        return EngineInfo(
            backend=f"triton-{self._config.backend}",
            device=f"{self._model} on {self._url}",
            precision=self.parameter("precision"),
            versions={"triton": self._version},
        )

    def run(self, batch: SliceBatch) -> SliceOutputs:
        """Run the networks on all slices of a batch, as many at a time as the server takes."""
        if self._closed:
            raise closed("triton")
        most = self._config.max_batch_size
        parts = [self._infer(batch, slice(i, i + most)) for i in range(0, len(batch.frames), most)]
        names = [output.name for output in self._config.output]
        return SliceOutputs(**{name: np.concatenate([part.as_numpy(name) for part in parts]) for name in names})

    def close(self) -> None:
        """Hang up."""
        self._closed = True
        self._client.close()

    def _infer(self, batch: SliceBatch, slices: slice) -> Any:  # noqa: ANN401  a class of tritonclient
        inputs = []
        for tensor in self._config.input:
            values = getattr(batch, tensor.name)[slices]
            inputs.append(self._grpc.InferInput(tensor.name, values.shape, "FP32").set_data_from_numpy(values))
        return self._request("infer", self._model, inputs)

    def _request(self, what: str, *arguments: object) -> Any:  # noqa: ANN401
        try:
            return getattr(self._client, what)(*arguments, client_timeout=self._timeout)
        except self._utils.InferenceServerException as error:
            raise BackendError(
                f"The Triton server at {self._url} does not serve {self._model} ({error.message()}): see its log, "
                "start it as README.md says, or give another --url."
            ) from error


def main(
    case: Annotated[Path, typer.Argument(help="Folder of a case, as for ctpdeploy infer.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results"),
    url: Annotated[str, typer.Option(help="Host and gRPC port of the server.")] = "localhost:8001",
    model: Annotated[str, typer.Option(help="Which of the models.")] = "ctp_pipeline_onnx",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 300.0,
) -> None:
    """Find the lesion in a CT perfusion case, with the networks on a Triton server. Research use only."""
    try:
        with TritonEngine(url, model, timeout) as engine:
            written = predict(case, out, engine)
        typer.echo(printable(f"Mask and report are in {written}. {INTENDED_USE}"))
    except CtpdeployError as error:
        typer.echo(printable(f"Error: {error}"), err=True)
        raise typer.Exit(error.exit_code) from error


def predict(case: Path, out: Path, engine: TritonEngine) -> Path:
    """Read a case, predict and write.

    Raises:
        BackendError: the server serves another bundle than the one that the preprocessing constants are from.
        InputError: the case cannot be used.
    """
    sha256 = sha256_of(HERE / MANIFEST)
    if engine.parameter("bundle_sha256") != sha256:
        raise BackendError(
            f"The server serves another bundle than that of {HERE / MANIFEST}: copy client and manifest."
        )
    manifest, where = read_manifest(HERE, HERE), str(HERE / MANIFEST)
    config, perfusion = stored_config(manifest["preprocess"], where), stored_perfusion(manifest, where)
    start = time.perf_counter()
    read = read_case(case, perfusion)
    seconds = time.perf_counter() - start
    provenance = Provenance(
        bundle={"name": engine.parameter("bundle"), "sha256": sha256, "signature": "not checked", "signed_by": None},
        backend_requested="triton",
        backend_because="It was asked for.",
    )
    prediction = Pipeline(engine, config, provenance, perfusion, stored_card(manifest)).predict(read)
    return write_prediction(out, read, prediction, seconds={"read": seconds})


if __name__ == "__main__":
    typer.run(main)
