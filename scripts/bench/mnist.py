"""MNIST, 784-256-10, Adam, batch 512, local[2]: seconds per epoch and per command, side by side.

scripts/bench.sh mnist FOLDER [--rounds 3] [--epochs 5] [--mllib 20] [--mllib-full] [--commands 3]
                       [--swap 100] [--swap-rows 60000]

FOLDER holds train/ and test/ as Parquet with `pixels` (784 numbers) and `label`. The contestants
take turns within a round; medians over rounds are printed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dpnn import Trainer, nn
from dpnn.training.trainer import EngineName

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODEL = nn.Sequential(nn.Rescale(1 / 255), nn.Dense(256), nn.ReLU(), nn.Dense(10))
GOAL = 0.975
PARTS = ("send", "compute", "wait", "sum", "update", "rest")


def fit(train: Any, test: Any, engine: EngineName, **changes: Any) -> Any:
    settings = {"optimizer": nn.Adam(1e-3), "batch_size": 512, "epochs": 5, "progress": False}
    trainer = Trainer(MODEL, nn.SoftmaxCrossEntropy(), engine=engine, **{**settings, **changes})
    held = {} if test is None else {"validation": test}
    return trainer.fit(train, inputs="pixels", label="label", num_shards=2, **held)


def torch_alone(folder: str, epochs: int) -> list[float]:
    sys.path.insert(0, str(HERE))
    from _torch_mnist import train

    return train(folder, epochs, threads=2)["seconds"]


def torch_distributor(folder: str, epochs: int) -> list[float]:
    sys.path.insert(0, str(HERE))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    from _torch_mnist import train
    from pyspark.ml.torch.distributor import TorchDistributor

    runner = TorchDistributor(num_processes=2, local_mode=True, use_gpu=False)
    os.environ["OMP_NUM_THREADS"] = "1"  # as torchrun sets it, but for a banner
    result: Any = runner.run(train, folder, epochs)
    del os.environ["OMP_NUM_THREADS"]
    return result["seconds"]


def epochs_side_by_side(spark: Any, folder: str, rounds: int, epochs: int) -> None:
    train = spark.read.parquet(f"{folder}/train")
    took: dict[str, list[float]] = {}
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # torch's threads stay its own
        for _ in range(rounds):
            resident = fit(train, None, "resident", epochs=epochs)
            took.setdefault("resident", []).extend(resident.history["seconds"][1:])
            job = fit(train, None, "job", epochs=2)
            took.setdefault("job", []).extend(job.history["seconds"][1:])
            alone = pool.apply(torch_alone, (folder, epochs))
            took.setdefault("torch, 1 process, 2 threads", []).extend(alone[1:])
            together = torch_distributor(folder, epochs)
            took.setdefault("TorchDistributor, 2 processes", []).extend(together[1:])
    ours = statistics.median(took["resident"])
    print(f"\nseconds per epoch (median of {rounds} rounds; the first epoch of a fit left out)")
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"  {name:<32}{middle:8.3f}   {middle / ours:6.2f} x resident")
    costs = {name: resident.history["costs"][-1][name] for name in PARTS}
    parts = ", ".join(f"{name} {milliseconds:.2f}" for name, milliseconds in costs.items())
    print(f"  a step of resident, ms: {parts}")


def commands_side_by_side(folder: str, rounds: int, epochs: int) -> None:
    """spark-submit to saved model, as whole processes in turn."""
    spark = ["spark-submit", "--master", "local[2]"]
    spark += ["--properties-file", str(ROOT / "conf/spark-defaults.conf")]
    took: dict[str, list[float]] = {"dpnn jobs/train.py": [], "TorchDistributor": []}
    env = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with tempfile.TemporaryDirectory() as out:
        ours = [*spark, str(ROOT / "jobs/train.py"), str(ROOT / "conf/mnist.toml")]
        for setting in (
            f"data.train={folder}/train",
            f"data.validation={folder}/test",
            f"training.epochs={epochs}",
            f"output.model={out}/dpnn.safetensors",
        ):
            ours += ["--set", setting]
        peer = [*spark, str(HERE / "_torch_mnist.py"), folder, str(epochs), f"{out}/torch.pt"]
        for _ in range(rounds):
            for name, command in zip(took, (ours, peer), strict=True):
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=env, cwd=out)
                took[name].append(time.perf_counter() - start)
    print(f"\nwhole command, {epochs} epochs, seconds (median of {rounds})")
    first = statistics.median(took["dpnn jobs/train.py"])
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        print(f"  {name:<32}{middle:8.1f}   {middle / first:6.2f} x dpnn")


def against_mllib(spark: Any, folder: str, iterations: int, full: bool) -> None:
    from pyspark.ml.classification import MultilayerPerceptronClassifier
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as sql

    train = spark.read.parquet(f"{folder}/train")
    test = spark.read.parquet(f"{folder}/test")
    vectors = train.select(
        array_to_vector(sql.transform("pixels", lambda v: v / 255)).alias("features"), "label"
    ).cache()
    vectors.count()
    took: dict[str, list[float]] = {"MLlib": [], "dpnn": []}
    count = 100 if full else iterations
    for _ in range(1 if full else 2):
        start = time.perf_counter()
        peer = MultilayerPerceptronClassifier(layers=[784, 256, 10], maxIter=count, seed=0)
        peer.fit(vectors)
        took["MLlib"].append((time.perf_counter() - start) / count)
        sigmoid = nn.Sequential(nn.Rescale(1 / 255), nn.Dense(256), nn.Sigmoid(), nn.Dense(10))
        trainer = Trainer(
            sigmoid,
            nn.SoftmaxCrossEntropy(),
            optimizer=nn.LBFGS(),
            epochs=iterations,
            engine="resident",
            progress=False,
        )
        seconds = trainer.fit(train, inputs="pixels", label="label", num_shards=2).history[
            "seconds"
        ]
        took["dpnn"].append(sum(seconds) / len(seconds))
    theirs, ours = (statistics.median(took[name]) for name in ("MLlib", "dpnn"))
    print("\nfull-batch L-BFGS, 784-256-10, seconds an iteration")
    print(f"  MLlib {theirs:.2f}, dpnn {ours:.2f}: {theirs / ours:.1f} times the iterations")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        result = fit(train, test, "resident", epochs=10, optimizer=nn.Adam(8e-3), ema=0.975)
        whole = time.perf_counter() - start
        reached = [i for i, a in enumerate(result.history["val_accuracy"]) if a >= GOAL]
        if not reached:
            print(f"  {GOAL:.1%} test accuracy not reached in 10 epochs")
            return
        times.append(whole - sum(result.history["seconds"][reached[0] + 1 :]))
    needed = statistics.median(times)
    print(
        f"  {GOAL:.1%} test accuracy with Adam after epoch {reached[0] + 1}, ingest included: "
        f"{needed:.1f} s, the median of {', '.join(f'{t:.1f}' for t in times)}"
    )
    print(
        f"  MLlib's 100 iterations would take {100 * theirs:.0f} s: {100 * theirs / needed:.0f} x"
    )


def import_swap(spark: Any, folder: str, iterations: int, rows: int, hidden: int) -> None:
    """The two perceptrons, called alike, in turn: seconds of `fit`, with all that it reads."""
    from pyspark.ml import classification
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import functions as sql

    from dpnn import ml

    pixels = array_to_vector(sql.transform("pixels", lambda v: v / 255)).alias("features")
    train, test = (
        spark.read.parquet(f"{folder}/{part}").select(pixels, "label") for part in ("train", "test")
    )
    train = train.limit(rows).cache()
    train.count()
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    took: dict[str, list[float]] = {"MLlib": [], "dpnn": []}
    for _ in range(2):
        for name, room in (("MLlib", classification), ("dpnn", ml)):
            learner = room.MultilayerPerceptronClassifier(
                layers=[784, hidden, 10], maxIter=iterations, tol=0.0, seed=0
            )
            start = time.perf_counter()
            model = learner.fit(train)
            took[name].append(time.perf_counter() - start)
            share = accuracy.evaluate(model.transform(test))
            print(f"  {name:<8}{took[name][-1]:8.1f} s, {share:.2%} of the test rows", flush=True)
    theirs, ours = (min(seconds) for seconds in took.values())
    print(
        f"\nthe import swap, 784-{hidden}-10, {train.count():,} rows, maxIter={iterations}, the "
        f"best of two: MLlib {theirs:.1f} s, dpnn {ours:.1f} s: {theirs / ours:.1f} x"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--mllib", type=int, default=20, help="L-BFGS iterations; 0 leaves it out")
    parser.add_argument("--mllib-full", action="store_true", help="all 100 iterations of MLlib")
    parser.add_argument("--swap", type=int, default=0, help="iterations of the import swap")
    parser.add_argument("--swap-rows", type=int, default=60_000)
    parser.add_argument("--swap-hidden", type=int, default=256, help="units of the hidden layer")
    parser.add_argument("--commands", type=int, default=3, help="rounds of whole commands")
    options = parser.parse_args()
    folder = str(Path(options.folder).resolve())
    if options.commands:
        commands_side_by_side(folder, options.commands, options.epochs)
    from _session import session

    spark = session()
    if options.rounds:
        epochs_side_by_side(spark, folder, options.rounds, options.epochs)
    if options.mllib:
        against_mllib(spark, folder, options.mllib, options.mllib_full)
    if options.swap:
        import_swap(spark, folder, options.swap, options.swap_rows, options.swap_hidden)
    spark.stop()


if __name__ == "__main__":
    main()
