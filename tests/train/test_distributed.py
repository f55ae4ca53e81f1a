"""Two processes that share each mini-batch do what one process does with the whole of it."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctpdeploy.config import to_dict
from ctpdeploy.train import TrainConfig, train

SCRIPT = """
import json, sys
from pathlib import Path
from ctpdeploy.config import merge
from ctpdeploy.train import TrainConfig, train

data, out, configs = sys.argv[1:]
for system, config in json.loads(configs).items():
    train(Path(data), Path(out) / system, merge(TrainConfig(), config), device="cpu")
"""


def metrics(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(data: Path, tmp_path: Path, config: TrainConfig) -> None:
    runs = {name: replace(config, system=name, epochs=1, batch_size=4) for name in ("dwi_olh", "l2_gan")}
    script = tmp_path / "run.py"
    script.write_text(SCRIPT, encoding="utf-8")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    arguments = [str(data), str(tmp_path / "two"), json.dumps({name: to_dict(run) for name, run in runs.items()})]
    done = subprocess.run([sys.executable, *launch, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for system, settings in runs.items():
        train(data, tmp_path / "one" / system, settings, device="cpu")
        one, two = metrics(tmp_path / "one" / system), metrics(tmp_path / "two" / system)
        assert len(one) == len(two) > 0
        assert [line.keys() for line in one] == [line.keys() for line in two]
        # Only the first epoch: RMSprop's first steps divide a gradient by its own size and so amplify rounding, which
        # shows at a threshold, and in all that later stages make of it.
        for name in one[0].keys() - {"seconds", "learns", "waiting_share"}:
            tolerance = 0.05 if name.startswith("validation") else 1e-5
            np.testing.assert_allclose(
                two[0][name], one[0][name], rtol=2e-3, atol=tolerance, err_msg=f"{system}: {name}"
            )
