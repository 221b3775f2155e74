"""The jobs as a user calls them: what they print, write, and say of bad input.

They run in this process, whose directory is not the JVM's: Spark is given absolute paths.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpnn import Trainer, load, nn
from dpnn.datasets import digits
from dpnn.nn.core.spec import REGISTRY
from dpnn.runs import cli
from tests import adult

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--set", "training.epochs=2", "--set", "training.engine=local"]


@pytest.fixture
def job(spark_session, monkeypatch, tmp_path, capsys):
    """Run a job in this process and session, in an empty directory: (status, out, err)."""
    monkeypatch.setattr(cli, "stop", lambda: None)
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        spec = importlib.util.spec_from_file_location(name, ROOT / "jobs" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            module.main([str(argument) for argument in arguments])
            status = 0
        except SystemExit as ended:
            status = ended.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def model_file(spark_session, tmp_path_factory):
    """A model trained on the digits."""
    from dpnn import read_run

    run = read_run(ROOT / "conf" / "digits.toml", QUICK[1::2])
    frame = cli.read(spark_session, run.data.train)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    run.trainer().fit(frame, run.data.inputs, run.data.label, num_shards=2).model.save(path)
    return path


@pytest.fixture(scope="module")
def bad(spark_session, tmp_path_factory):
    """A table of columns that cannot be trained on."""
    path = tmp_path_factory.mktemp("bad") / "table"
    spark_session.sql(
        "select array(1D, 2D) pixels, cast(id % 3 as int) label, 'name' names, "
        "if(id = 3, null, id) holes, if(id = 3, double('nan'), id) odd, "
        "if(id = 3, array(1), array(1, 2)) ragged, cast(id as int) * 70 far from range(8)"
    ).write.parquet(str(path))
    return path


@pytest.fixture(scope="module")
def holes(spark_session, tmp_path_factory):
    """Some digits, one of them null."""
    path = tmp_path_factory.mktemp("holes") / "table"
    frame = cli.read(spark_session, "package:digits/test").limit(5)
    null = frame.selectExpr("if(rand() < 2 and label = 99, pixels, null) pixels", "label")
    frame.union(null.limit(1)).coalesce(1).write.parquet(str(path))
    return path


def refused(result):
    """The one line on standard error of a job that ended with status 2."""
    status, out, err = result
    lines = [line for line in err.splitlines() if not line.startswith("dpnn: ")]
    assert (status, out) == (2, ""), err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.connect
def test_train_evaluate_predict(job, tmp_path):
    status, out, err = job("train", *QUICK, "--set", "output.model=made/m.safetensors")
    assert status == 0, err
    assert "epochs     2" in out
    assert "on held-out rows" in out
    assert out.rstrip().endswith(str(tmp_path / "made" / "m.safetensors"))
    history = json.loads((tmp_path / "runs/digits/history.json").read_text())
    assert f"{history['val_accuracy'][-1]:.4f} on held-out" in out

    where = ["--model", "made/m.safetensors", "--data", "package:digits/test"]
    status, out, err = job("evaluate", *where, "--json", "figures.json")
    assert status == 0, err
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["rows"] == 360
    assert figures["accuracy"] == pytest.approx(history["val_accuracy"][-1], abs=1e-9)
    assert figures["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)
    assert sum(map(sum, figures["confusion"])) == 360
    assert f"accuracy {figures['accuracy']:.4f}" in " ".join(out.split())
    assert f"recall_by_class {figures['recall_by_class'][0]:.4f}" in " ".join(out.split())
    assert "true \\ predicted" in out

    status, out, err = job("predict", *where, "--output", tmp_path / "out")
    assert status == 0, err
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "out")
    assert table.column_names == ["pixels", "label", "prediction", "probability"]
    right = table["label"].to_numpy() == table["prediction"].to_numpy()
    assert right.mean() == pytest.approx(figures["accuracy"])


@pytest.mark.connect
def test_the_model_says_what_it_was_trained_on(model_file):
    source = load(model_file).source
    assert source["rows"] == 1437
    assert [path.removeprefix("file:") for path in source["paths"]] == [digits().train]
    assert source["schema"] == {"pixels": "array<smallint>", "label": "int"}


@pytest.mark.connect
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.toml"], "no run file nothing.toml"),
        (["--set", "training.epoch=2"], "unknown key 'training.epoch'.*did you mean 'epochs'"),
        (["--set", "data.train=nowhere"], "no such path: nowhere"),
        (["--set", "data.train=text"], "text"),
        (["--set", "data.inputs=pixel"], "no column 'pixel' in the data: did you mean 'pixels'"),
        (["--set", "data.label=names"], "column 'names' is string, not numbers"),
        (["--set", "data.inputs=holes"], "column 'holes' has 1 null"),
        (["--set", "data.inputs=odd"], "column 'odd' has 1 value that is NaN or infinite"),
        (["--set", "data.inputs=ragged"], "column 'ragged' has rows of"),
        (["--set", "data.label=far"], "label 7|7 is out of range|e.g. 7|labels 0 to"),
        (["--set", "data.where=label > 99"], "the data has no rows"),
        (["--set", "data.where=labell > 99"], "labell"),
        (["--set", "data.train=package:mnist/train"], "no package:mnist/train: the package holds"),
        (["--set", "output.model=."], ". is a directory: name a file in it"),
        (["--set", "training.loss=BinaryCrossEntropy"], "label|shape|outputs"),
    ],
)
def test_bad_training_input_is_one_line(job, bad, tmp_path, arguments, message):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.parquet").write_text("hello " * 10)
    given = [f"data.train={bad}", f"data.validation={bad}", *QUICK[1::2]]
    texts = [word for text in given for word in ("--set", text)]
    assert_match(message, refused(job("train", *texts, *arguments)))
    assert not (tmp_path / "runs").exists()


def assert_match(pattern, text):
    import re

    assert re.search(pattern, text), text


@pytest.mark.connect
@pytest.mark.parametrize("name", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--model": "gone"}, "no such file: gone"),
        ({"--model": "foreign"}, "foreign is not a model file"),
        ({"--data": "nowhere"}, "no such path: nowhere"),
        ({"--inputs": "label,label"}, "expected x of shape|shape"),
        ({"--inputs": "pixel"}, "no column 'pixel'"),
        ({"--data": "holes"}, "column 'pixels' has 1 null"),
    ],
)
def test_bad_input_leaves_the_output_untouched(
    job, holes, model_file, tmp_path, name, change, message
):
    (tmp_path / "foreign").write_bytes(b"something else, and long enough to be read")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    if change.get("--data") == "holes":
        change = {"--data": holes}
    options = {"--model": model_file, "--data": "package:digits/test", **change}
    if name == "predict":
        options["--output"] = tmp_path / "out"
    arguments = [word for pair in options.items() for word in pair]
    arguments += ["--overwrite"] if name == "predict" else []
    assert_match(message, refused(job(name, *arguments)))
    assert (tmp_path / "out" / "old").read_text() == "old"
    assert not list(tmp_path.glob("_out*"))


@pytest.mark.connect
def test_predict_replaces_only_when_told(job, model_file, tmp_path):
    where = ["--model", model_file, "--data", "package:digits/test"]
    where += ["--output", tmp_path / "out"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("old")
    assert "out exists already" in refused(job("predict", *where))
    assert (tmp_path / "out" / "old").exists()
    assert job("predict", *where, "--overwrite")[0] == 0
    assert not (tmp_path / "out" / "old").exists()
    (tmp_path / "file").write_text("mine")
    told = refused(job("predict", *where[:-1], tmp_path / "file", "--overwrite"))
    assert "file is a file: name a directory" in told
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.connect
def test_inputs_of_other_names(job, spark_session, tmp_path):
    frame = spark_session.range(40).selectExpr("double(id) a", "double(id) b", "int(id % 2) label")
    frame.write.parquet(str(tmp_path / "named"))
    frame.toDF("α", "b c", "label").write.parquet(str(tmp_path / "renamed"))
    pair = nn.Concatenate(*(nn.Sequential(nn.Input(n), nn.Dense(2)) for n in ("one", "two")))
    for inputs, model, given in (
        (["a"], nn.Dense(2), "α"),
        ({"one": ["a"], "two": ["a", "b"]}, pair, '{one = ["α"], two = ["α", "b c"]}'),
        (["a", "b"], nn.Dense(2), '["α", "b c"]'),
    ):
        model = nn.Sequential(model, nn.Dense(2))
        trainer = Trainer(model, nn.SoftmaxCrossEntropy(), epochs=1, engine="local", progress=False)
        trainer.fit(frame, inputs, "label", num_shards=1).model.save(tmp_path / "m.safetensors")
        where = ["--model", "m.safetensors", "--data"]
        before = job("evaluate", *where, tmp_path / "named")
        after = job("evaluate", *where, tmp_path / "renamed", "--inputs", given)
        assert before == after
        assert before[0] == 0, before
    assert "--inputs {one is not TOML" in refused(
        job("evaluate", *where, tmp_path / "named", "--inputs", "{one")
    )


@pytest.mark.parametrize("columns", ["named", "by type"])
def test_raw_columns_and_a_recipe(job, tmp_path, columns):
    adult.write(tmp_path / "adult")
    run_file = ROOT / "conf" / "adult.toml"
    if columns == "by type":
        lines = ["[data]", 'label = "income"', "validation = 0.2", "[model]", 'recipe = "mlp"']
        run_file = tmp_path / "few.toml"
        run_file.write_text("\n".join(lines))
    sets = [f"data.train={tmp_path / 'adult' / 'train'}", "output.model=m.safetensors"]
    sets += ["training.epochs=4", "training.engine=local", "training.num_shards=2"]
    status, out, err = job("train", run_file, *(f"--set={text}" for text in sets))
    assert status == 0, err
    assert "epochs     4" in out
    chosen = "dpnn: by type, 6 numeric: 'age', 'fnlwgt', 'educational-num', "
    assert err.count(chosen) == (columns == "by type")
    assert load("m.safetensors").columns.inputs.classes == ("<=50K", ">50K")

    where = ["--model", "m.safetensors", "--data", tmp_path / "adult" / "test"]
    status, _, err = job("evaluate", *where, "--json", "figures.json")
    assert status == 0, err
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["auc"] > 0.7
    status, out, err = job("predict", *where, "--output", tmp_path / "out")
    assert status == 0, err
    assert out.rstrip().endswith("and prediction, probability")
    told = refused(job("evaluate", *where, "--inputs", "age"))
    assert "m.safetensors takes its raw columns by their names: leave out --inputs" in told


def test_layers_of_ones_own(job, spark_session, tmp_path, monkeypatch):
    source = "from dpnn import nn\n\nclass TwiceAsMuch(nn.Sequential, init=False):\n    pass\n"
    (tmp_path / "own_layers.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    spark_session.addArtifacts(str(tmp_path / "own_layers.py"), pyfile=True)
    own = importlib.import_module("own_layers").TwiceAsMuch(nn.Dense(2))
    trainer = Trainer(own, nn.SoftmaxCrossEntropy(), epochs=1, engine="local", progress=False)
    frame = spark_session.range(40).selectExpr("double(id) a", "int(id % 2) label")
    frame.write.parquet(str(tmp_path / "named"))
    trainer.fit(frame, ["a"], "label", num_shards=1).model.save(tmp_path / "m.safetensors")
    where = ["--model", "m.safetensors", "--data", tmp_path / "named"]
    monkeypatch.delitem(REGISTRY, "TwiceAsMuch")
    assert "(jobs: --import own_layers)" in refused(job("evaluate", *where))
    monkeypatch.delitem(sys.modules, "own_layers")
    assert job("evaluate", *where, "--import", "own_layers")[0] == 0


def test_debug_shows_the_trace(job):
    status, _, err = job("evaluate", "--model", "gone", "--data", "x", "--debug")
    assert status == 2
    assert "Traceback" in err
    assert "FileNotFoundError: no such file: gone" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "engine"), [(signal.SIGINT, "resident"), (signal.SIGTERM, "job")]
)
def test_a_signal_ends_a_job_with_one_line(tmp_path, number, engine):
    sets = [f"training.engine={engine}", "training.epochs=100000"]
    command = [sys.executable, ROOT / "jobs" / "train.py", *(f"--set={text}" for text in sets)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    quiet = f"-Dlog4j2.configurationFile=file:{ROOT}/conf/log4j2.properties"
    quiet = f"--conf spark.ui.showConsoleProgress=false --driver-java-options {quiet}"
    env["PYSPARK_SUBMIT_ARGS"] = f"{quiet} pyspark-shell"
    log = tmp_path / "log"
    with log.open("w") as file:
        driver = subprocess.Popen(command, env=env, cwd=tmp_path, stdout=file, stderr=file)
        try:
            end = time.monotonic() + 240
            while "epoch      2/" not in log.read_text() and time.monotonic() < end:
                time.sleep(0.2)
            before = len(log.read_text().splitlines())
            driver.send_signal(number)
            status = driver.wait(120)
        finally:
            driver.kill()
    told = log.read_text().splitlines()[before:]
    told = [line for line in told if not line.startswith("dpnn: epoch")]
    assert (status, told) == (128 + number, [f"error: ended by {number.name}"])


@pytest.mark.slow
def test_spark_submit_ends_with_status_and_one_line(tmp_path):
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    submit = Path(sys.executable).with_name("spark-submit")
    conf = ["--master", "local[2]", "--properties-file", ROOT / "conf" / "spark-defaults.conf"]
    log = f"-Dlog4j2.configurationFile=file:{ROOT}/conf/log4j2.properties"
    command = [submit, *conf, "--driver-java-options", log, ROOT / "jobs" / "train.py"]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], env=env, cwd=tmp_path, capture_output=True, text=True
        )

    done = run("--set", "training.epochs=2")
    assert done.returncode == 0, done.stderr
    assert "on held-out rows" in done.stdout
    bad = run("--set", "training.epoch=2")
    assert bad.returncode == 2
    told = [line for line in bad.stderr.splitlines() if "WARN" not in line]
    assert told == [line for line in told if line.startswith("error: unknown key")], bad.stderr
