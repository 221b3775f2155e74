"""An editor's view: mypy and pyright find the mistakes in a user's script, and none in a right one.

Both look at dpnn as it is installed, so they see its types only where `py.typed` says so.
"""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

RIGHT = '''\
from __future__ import annotations

from typing import Any

import numpy as np
from pyspark.sql import SparkSession

import dpnn
from dpnn import Result, TrainedModel, Trainer, datasets, load, nn


class Scaled(nn.Layer):
    """A layer of the user's own."""

    units: int
    factor: float = 0.5

    def shapes(self, x: Any, ctx: nn.Context) -> tuple[dict[str, nn.Param], Any]:
        return {"W": nn.Param((x[0], self.units))}, (self.units,)

    def forward(self, p: dict[str, Any], x: Any, ctx: nn.Context) -> tuple[Any, Any]:
        return self.factor * ctx.xp.dot(x, p["W"]), x

    def backward(
        self, p: dict[str, Any], g: dict[str, Any], cache: Any, dy: Any, ctx: nn.Context
    ) -> Any:
        ctx.xp.dot(cache.T, self.factor * dy, out=g["W"])
        return self.factor * ctx.xp.dot(dy, p["W"].T)


class Damped(nn.SGD):
    """An optimizer of the user's own."""

    damping: float = 0.1


Scaled(3, 0.4)
Scaled(units=3)
Damped(0.1, damping=0.2, momentum=0.9, weight_decay=0.01)
model = nn.Sequential(
    nn.Rescale(1 / 255), nn.Dense(256, bias=False), nn.Residual(nn.Dense(256), nn.ReLU())
)
optimizer = nn.SGD(nn.Warmup(0.1, 30, then=nn.CosineDecay(0.1, steps=300)), 0.9, nesterov=True)
x, y = np.zeros((30, 4)), np.zeros(30)
trainer = Trainer(
    model,
    nn.SoftmaxCrossEntropy(label_smoothing=0.1),
    optimizer,
    batch_size=512,
    epochs=5,
    engine="local",
    clip_norm=1,
    patience=None,
)
result: Result = trainer.fit((x, y), validation=(x, y), num_shards=2)
trained: TrainedModel = result.model
trained.save("model.safetensors")
print(load("model.safetensors").predict(x).shape, trained.weights.size)
print(result.history["loss"][-1], result.engine, result.num_shards)
net: nn.Network = model.build(4, seed=0)
state = optimizer.init(net.layout)
net.loss_and_gradients(x, y, nn.SoftmaxCrossEntropy())
optimizer.update(state, net.weights, net.gradient)
print(model.summary(4), datasets.digits().train, nn.clip_by_global_norm(net.gradient, 3))
nn.gradient_check(nn.Dense(3), x)
df = SparkSession.builder.getOrCreate().read.parquet("rows")
trained = trainer.fit(df, inputs=["a", "b"], label="c", weight="w", validation="held").model
trained.transform(df).show()
print(trained.evaluate(df)["loss"], dpnn.__version__)
result.history.plot("loss.svg")
again: nn.Layer = nn.from_spec(nn.to_spec(model))
'''

# Each line is one mistake, and each must be found.
WRONG = """\
import dpnn
from dpnn import Trainer, load, nn
class Own(nn.Layer):
    size: int
    share: float = 0.5
result = Trainer(nn.Dense(3), nn.MeanSquaredError()).fit(([[1.0]], [1.0]))
dpnn.Trainr  # wrong
nn.GRUU(3)  # wrong
nn.LSTM(unitss=3)  # wrong
nn.LSTM("3")  # wrong
nn.Dense()  # wrong
nn.Dense(16, True, "auto", 4)  # wrong
nn.SGD(0.1, 0.9, True, 0.5)  # wrong
nn.Adam(1e-3, beta3=0.9)  # wrong
nn.Adam(weight_decay="x")  # wrong
nn.Sequential(nn.Dense(3), 4)  # wrong
nn.Sequential([nn.Dense(3)])  # wrong
nn.Residual(nn.ReLU)  # wrong
nn.Dense(3).units = 4  # wrong
Own()  # wrong
Own(sizes=3)  # wrong
Own(3, share="half")  # wrong
Trainer(nn.Dense(3))  # wrong
Trainer(nn.Dense(3), nn.Adam())  # wrong
Trainer(nn.Dense(3), nn.MeanSquaredError(), epoch=3)  # wrong
Trainer(nn.Dense(3), nn.MeanSquaredError(), epochs="3")  # wrong
Trainer(nn.Dense(3), nn.MeanSquaredError(), engine="resid")  # wrong
Trainer(nn.Dense(3), nn.MeanSquaredError()).fit(1, validate=3)  # wrong
result.models  # wrong
result.model.predicts  # wrong
result.history.plott()  # wrong
load(3)  # wrong
"""
MISTAKES = {n for n, line in enumerate(WRONG.splitlines(), 1) if line.endswith("# wrong")}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    (folder / "right.py").write_text(RIGHT)
    (folder / "wrong.py").write_text(WRONG)
    return folder


def checker(name: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    command = [sys.executable, "-m", name, *arguments, "right.py", "wrong.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_mypy_finds_every_mistake_and_nothing_else(scripts) -> None:
    done = checker("mypy", scripts, "--strict", "--config-file=", "--cache-dir=cache")
    found = re.findall(r"^(\w+)\.py:(\d+): error: (.*)", done.stdout, re.M)
    assert not [line for line in found if line[0] != "wrong"], done.stdout
    assert {int(line[1]) for line in found} == MISTAKES, done.stdout + done.stderr


def test_pyright_finds_every_mistake_and_nothing_else(scripts) -> None:
    strict = '{"typeCheckingMode": "standard", "strict": ["right.py"]}'
    (scripts / "pyrightconfig.json").write_text(strict)
    done = checker("pyright", scripts, "--outputjson", "--pythonpath", sys.executable)
    found = json.loads(done.stdout)["generalDiagnostics"]
    lines = {(Path(one["file"]).stem, one["range"]["start"]["line"] + 1) for one in found}
    assert not [line for line in lines if line[0] != "wrong"], done.stdout
    assert {line[1] for line in lines} >= MISTAKES, done.stdout
