"""Shards of this process to Spark: their arrays as DataFrames of the active session.

Driver; needs pyspark.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from dpnn.data.columns import Inputs
from dpnn.data.ingest import ingest
from dpnn.data.ingest_tasks import HASH
from dpnn.data.shards import LocalShards
from dpnn.data.spark_shards import SparkShards
from dpnn.spark.session import Session

# What Spark has no type for, and the next type that holds the same numbers.
_WIDER = {"u1": np.int16, "u2": np.int32, "u4": np.int64, "u8": np.int64, "f2": np.float32}


def ingest_local(shards: LocalShards) -> SparkShards:
    """The same rows in the same shards, on the executors."""
    frames = {split: _frame(shards, split) for split in shards.facts}
    names = [name for name, _, _ in shards.facts["train"].layout]
    inputs: Inputs = {n[2:]: _column(n) for n in names if n.startswith("x.")} or "x"
    named = (inputs, "y", "w" if "w" in names else None)
    hashed = None if shards.hashes is None else HASH
    held = frames.get("validation")
    return ingest(frames["train"], *named, len(shards.shards), held, hashed=hashed)


def _frame(shards: LocalShards, split: str) -> DataFrame:
    parts = [shard[split].arrays for shard in shards.shards]
    made = {_column(n): _arrow(np.concatenate([p[n] for p in parts])) for n in parts[0]}
    if shards.hashes is not None:
        made[HASH] = pa.array(np.concatenate(shards.hashes[split]).view(np.int64))
    return Session.made().spark.createDataFrame(pa.table(made))


def _column(name: str) -> str:
    """Any name of an input makes a name that Spark takes."""
    return "c" + name.encode().hex() if name.startswith("x.") else name


def _arrow(array: np.ndarray) -> pa.Array:
    kind = array.dtype
    if kind.str[1:] == "u8" and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{array.max()} is above what Spark's whole numbers hold, {2**63 - 1}")
    flat = np.ascontiguousarray(array, _WIDER.get(kind.str[1:], kind)).reshape(-1)
    values = pa.array(flat)
    for width in reversed(array.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, width)
    return values
