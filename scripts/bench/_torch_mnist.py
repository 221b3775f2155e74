"""The peer: the same network on the same Parquet by torch, alone or under TorchDistributor.

As its users would write it: rows read by pyarrow into memory once, DistributedDataParallel with
gloo, every process stepping over its half of each batch. `train` returns the seconds of each epoch
and the test accuracy.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any


def train(data: str, epochs: int, batch: int = 512, threads: int = 1, save: str = "") -> Any:
    import numpy as np
    import pyarrow.parquet as pq
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    if world > 1:
        torch.distributed.init_process_group("gloo")

    def read(part: str) -> tuple[Any, Any]:
        table = pq.read_table(f"{data}/{part}")
        pixels = table["pixels"].combine_chunks().flatten().to_numpy().reshape(-1, 784)
        x = torch.from_numpy(pixels.astype(np.float32) / 255)
        return x, torch.from_numpy(table["label"].to_numpy().astype(np.int64))

    x, y = read("train")
    x, y = x[rank::world], y[rank::world]
    net: Any = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    model = nn.parallel.DistributedDataParallel(net) if world > 1 else net
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss_of = nn.CrossEntropyLoss()
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        order = torch.randperm(len(x))
        for i in range(0, len(x), batch // world):
            rows = order[i : i + batch // world]
            optimizer.zero_grad()
            loss_of(model(x[rows]), y[rows]).backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    test, labels = read("test")
    accuracy = (net(test).argmax(1) == labels).float().mean().item()
    if save and rank == 0:
        torch.save(net.state_dict(), save)
    if world > 1:
        torch.distributed.destroy_process_group()
    return {"seconds": seconds, "accuracy": accuracy}


def main() -> None:
    """spark-submit _torch_mnist.py DATA EPOCHS MODEL: the whole command, to be timed."""
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    data, epochs, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    spark = SparkSession.builder.getOrCreate()
    runner = TorchDistributor(num_processes=2, local_mode=True, use_gpu=False)
    result: Any = runner.run(train, data, epochs, 512, 1, path)
    print(result["accuracy"])
    spark.stop()


if __name__ == "__main__":
    main()
