"""Run files: what is right comes back as objects, what is wrong as one line that names it."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import dpnn
from dpnn import Dataset, nn
from dpnn.runs.config import read_run
from dpnn.runs.run import ConfigError, Recipe

GOOD = """
[data]
train = "in"
inputs = ["a", "b"]
label = "y"

[model]
layers = [{type = "Dense", units = 4}, {type = "ReLU"}, {type = "Dense", units = 1}]

[training]
loss = "MeanSquaredError"
optimizer = {type = "SGD", learning_rate = 0.1, momentum = 0.9}
epochs = 3
"""
CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def run_file(tmp_path):
    def write(text=GOOD, name="run.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_run_file_becomes_a_trainer(run_file):
    run = read_run(run_file())
    trainer = run.trainer()
    assert (run.name, run.data.inputs, run.data.label) == ("run", ["a", "b"], "y")
    assert run.model == nn.Sequential(nn.Dense(4), nn.ReLU(), nn.Dense(1))
    assert trainer.optimizer == nn.SGD(0.1, momentum=0.9)
    assert trainer.loss == nn.MeanSquaredError()
    assert trainer.epochs == 3
    assert run.num_shards is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("training.epochs=7", 7),
        ("training.clip_norm=1", 1.0),
        ("training.engine=local", "local"),
        ('training.engine="local"', "local"),
        ("training.progress=false", False),
        ("training.optimizer.learning_rate=0.5", nn.SGD(0.5, momentum=0.9)),
        ("training.optimizer=Adam", nn.Adam()),
        ("training.loss.type=BinaryCrossEntropy", nn.BinaryCrossEntropy()),
    ],
)
def test_set_overrides_one_key(run_file, text, value):
    key = text.split(".")[1].split("=")[0]
    assert getattr(read_run(run_file(), [text]).trainer(), key) == value


def test_set_reaches_into_the_layers_and_the_other_sections(run_file):
    texts = [
        "model.layers.0.units=9",
        "data.train=a=b/c",
        "output.model=m",
        "training.num_shards=5",
    ]
    run = read_run(run_file(), texts)
    assert run.model.layers[0] == nn.Dense(9)
    assert (run.data.train, run.output.model, run.num_shards) == ("a=b/c", "m", 5)


def test_a_schedule_is_the_optimizers_learning_rate(run_file):
    text = GOOD + 'schedule = {type = "CosineDecay", rate = 0.2, steps = 100}\n'
    optimizer = read_run(run_file(text)).trainer().optimizer
    assert optimizer == nn.SGD(nn.CosineDecay(0.2, 100), momentum=0.9)


def test_local_steps_and_the_outer_optimizer(run_file):
    text = GOOD + 'local_steps = 16\nouter = {type = "SGD", learning_rate = 0.5}\n'
    trainer = read_run(run_file(text)).trainer()
    assert (trainer.local_steps, trainer.outer) == (16, nn.SGD(0.5))
    assert read_run(run_file(), ["training.wire=int8"]).trainer().wire == "int8"
    assert read_run(run_file(), ["training.local_steps=auto"]).trainer().local_steps == "auto"
    with pytest.raises(ConfigError, match=r"training in .* from 1 or 'auto', got 'of'"):
        read_run(run_file(), ["training.local_steps=of"])


def test_checkpoints_go_to_the_trainer(run_file):
    run = read_run(run_file(GOOD + '[output]\ncheckpoints = "c"\n'))
    assert run.trainer().checkpoints == "c"


def test_a_factory_gives_the_model(run_file, tmp_path, monkeypatch):
    (tmp_path / "our_models.py").write_text(
        "from dpnn import nn\ndef build():\n    return nn.Dense(3)\nnumber = lambda: 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    start, rest = GOOD[: GOOD.index("layers =")], GOOD[GOOD.index("[training]") :]
    path = run_file(start + 'factory = "our_models:build"\n' + rest)
    assert read_run(path).model == nn.Dense(3)
    for name, message in {
        "our_models:biuld": "no attribute 'biuld'",
        "no_models:build": "No module named 'no_models': put it on PYTHONPATH",
        "our_models:number": "gave 3, not a dpnn.nn layer",
        "build": "build",
    }.items():
        with pytest.raises(ConfigError, match=message):
            read_run(path, [f"model.factory={name}"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 3", "epoch = 3", r"unknown key 'training.epoch' in .*run.toml.*'epochs'"),
        ("[model]", "[modle]", r"unknown key 'modle' in .*run.toml.*'model'"),
        ("epochs = 3", 'epochs = "3"', r"training.epochs in .*run.toml must be a whole number"),
        ("epochs = 3", "epochs = true", r"training.epochs in .* must be a whole number, got True"),
        ("epochs = 3", "epochs = 0", r"epochs must be a whole number from 1, got 0"),
        ("epochs = 3", 'engine = "jobb"', r"unknown engine 'jobb'.*'job'"),
        ('label = "y"', "label = 3", r"data.label in .* must be a string or a list of strings"),
        ('label = "y"', "", r"data.label is missing in .*run.toml.*--set data.label="),
        ('"ReLU"', '"RelU"', r"model.layers\[1\] in .*unknown type 'RelU'.*'ReLU'"),
        ("units = 4", "unit = 4", r"model.layers\[0\] in .*Dense has no 'unit'.*'units'"),
        ('"ReLU"', '"Adam"', r"model.layers\[1\] in .* must be layer, got Adam"),
        ('"MeanSquaredError"', '"ReLU"', r"training.loss in .* must be loss, got ReLU"),
        ('"MeanSquaredError"', "3", r"training.loss in .* must be a loss, e.g. .*, got 3"),
        ("momentum", "momentun", r"training.optimizer in .*SGD has no 'momentun'.*'momentum'"),
        ("layers = [", "layers = [1, ", r"model.layers in .* must be a list like"),
        (
            "[model]",
            '[model]\nfactory = "a:b"',
            r"model in .* needs one of layers .* factory .* recipe",
        ),
        ("epochs = 3", 'checkpoints = "c"', r"'training.checkpoints' in .* the section output"),
        ('{type = "ReLU"}', "{units = 3}", r"model.layers\[1\] in .* has no type: write"),
        ("epochs = 3", "epochs = ", r"run.toml is not a TOML file: .*line 13"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(run_file, old, new, message):
    assert GOOD.count(old) == 1
    with pytest.raises(ConfigError, match=message) as told:
        read_run(run_file(GOOD.replace(old, new)))
    assert "\n" not in str(told.value)


RAW = """
[data]
train = "in"
label = "y"
numeric = ["a", "b"]
date = ["d"]

[model]
recipe = {type = "tabm", members = 3}

[training]
epochs = 2
"""


def table(rows=120):
    a = np.linspace(-1, 1, rows)
    days = [dt.date(2020, 1, 1 + i % 28) for i in range(rows)]
    classes = (np.arange(rows) % 3).astype(np.int32)
    return pa.table({"a": a, "b": a**2, "d": days, "y": classes, "s": classes.astype("U1")})


def test_raw_columns_and_a_recipe(run_file, capsys):
    run = read_run(run_file(RAW), ["training.engine=local", "training.optimizer=Adam"])
    assert run.data.columns == dpnn.columns(["a", "b"], date=["d"])
    assert run.model == Recipe("tabm", {"members": 3})
    result = run.fit(table(), 0.25)
    assert len(result.history["loss"]) == 2
    assert nn.Members(3) in result.model.network.layer.layers
    assert result.model.loss.task == "values"
    assert result.model.predict(table()).shape == (120, 1)
    with pytest.raises(ValueError, match=r"a recipe makes the model of rows: give trainer"):
        run.trainer()
    by_type = read_run(run_file(RAW.replace("numeric", "# numeric").replace("date =", "# date =")))
    assert by_type.data.columns == dpnn.columns()
    capsys.readouterr()
    by_type.fit(table().drop(["d"]), 0.25)
    told = capsys.readouterr().err
    assert "dpnn: by type, 2 numeric: 'a', 'b'\ndpnn: by type, 1 categorical: 's'\n" in told


def test_what_a_run_file_says_goes_before_its_recipe(run_file):
    texts = ["training.loss=SoftmaxCrossEntropy", "training.num_shards=1", "model.recipe.width=8"]
    text = RAW + 'schedule = {type = "CosineDecay", rate = 0.2, steps = 100}\npatience = 5\n'
    run = read_run(run_file(text), texts)
    with Dataset(table(), run.data.columns, "y", num_shards=1) as data:
        trainer = run.trainer(data)
    assert trainer.loss == nn.EachMember(nn.SoftmaxCrossEntropy())
    assert trainer.optimizer == nn.AdamW(nn.CosineDecay(0.2, 100), weight_decay=3e-4)
    assert (trainer.epochs, trainer.patience, trainer.batch_size) == (2, 5, 256)
    assert nn.Dense(8) in trainer.model.layers
    assert trainer.model.build(data.input_shape).output_shape == (3,)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"tabm"', '"tabn"', r"model in .* is not right: no recipe 'tabn': did you mean 'tabm'"),
        ("members", "member", r"the recipe tabm has no 'member': did you mean 'members'"),
        ('numeric = ["a", "b"]', 'inputs = "a"', r"data.inputs in .* names columns as they are"),
        ("recipe = {", "layers = [], recipe = {", None),
        ('{type = "tabm", members = 3}', "3", r"model.recipe in .* must be like"),
        ("epochs = 2", "epoch = 2", r"unknown key 'training.epoch'"),
        ("numeric", "numerics", r"unknown key 'data.numerics' in .*: did you mean 'numeric'"),
        ("epochs = 2", "epochs = -1", r"training in .* is not right: epochs must be"),
    ],
)
def test_a_mistake_with_raw_columns_is_one_line(run_file, old, new, message):
    assert RAW.count(old) == 1
    with pytest.raises(ConfigError, match=message) as told:
        read_run(run_file(RAW.replace(old, new)))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training.epoch=3", r"unknown key 'training.epoch' in --set training.epoch=3.*'epochs'"),
        ("training.epochs=x", r"training.epochs in --set training.epochs=x must be a whole number"),
        ("training.optimizer.rate=1", r"training.optimizer in --set .* SGD has no 'rate'"),
        ("epochs=3", r"--set epochs=3: expected section.key=value"),
        ("training.epochs", r"expected section.key=value"),
        ("training.epochs=" + "[" * 5000, r"training.epochs in .* must be a whole number"),
        ("training.epochs.x=3", r"epochs is 3 and has nothing below it"),
        ("model.layers.7.units=3", r"there is no item 7 in a list of 3"),
    ],
)
def test_a_mistake_in_set_names_the_set(run_file, text, message):
    with pytest.raises(ConfigError, match=message):
        read_run(run_file(), [text])


def test_two_outputs_in_one_file(run_file, tmp_path):
    run = read_run(run_file(), [f"output.model={tmp_path}/a/../m", f"output.history={tmp_path}/m"])
    with pytest.raises(ConfigError, match=r"two outputs would be the same file: .*/a/../m, .*/m$"):
        run.output.check_writable()


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no run file .*gone.toml"):
        read_run(tmp_path / "gone.toml")


def test_the_run_files_of_the_project_are_right():
    paths = sorted(CONF.glob("*.toml"))
    assert {"digits.toml", "mnist.toml"} <= {path.name for path in paths}
    for path in paths:
        run = read_run(path, ["data.train=x", "data.validation=x"])
        assert isinstance(run.model, Recipe) or json.dumps(nn.to_spec(run.model))


def test_mnist_without_paths_says_how_to_give_them():
    with pytest.raises(ConfigError, match=r"data.train is missing.*--set data.train="):
        read_run(CONF / "mnist.toml")
