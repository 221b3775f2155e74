"""Driver. `engine="auto"` on a cluster: resident where its tasks can stay, else job; frames over
Spark Connect; and why.
"""

from __future__ import annotations

from dpnn.data.spark_shards import SparkShards
from dpnn.engines.resident.engine import refuse_idle_kills
from dpnn.spark.classic import ClassicSession

_ENCRYPTION = (
    "spark.network.crypto.enabled",
    "spark.io.encryption.enabled",
    "spark.ssl.enabled",
    "spark.ssl.rpc.enabled",
)


def choose(shards: SparkShards) -> tuple[str, str]:
    """(engine, why in one line)."""
    if told := by_settings(shards):
        return told
    slots = shards.classic.slots(shards.num_shards, patience=2.0)
    if slots == 0:
        return "job", "no slot is free for tasks that stay"
    tasks = min(slots, shards.num_shards)
    return "resident", f"{tasks} tasks stay for the fit and hold {shards.num_shards} shards"


def by_settings(shards: SparkShards) -> tuple[str, str] | None:
    """What session and settings leave no choice of; None where tasks can stay if slots are free."""
    if not isinstance(shards.session, ClassicSession):
        return "frames", "Spark Connect has DataFrames alone: each step is a query of its own"
    if key := encryption(shards):
        return "job", f"{key} is on, and only Spark's own traffic is encrypted"
    try:
        refuse_idle_kills(shards)
    except ValueError as error:
        return "job", str(error)
    return None


def encryption(shards: SparkShards) -> str | None:
    """The setting that asks Spark to encrypt, if one does."""
    return next((key for key in _ENCRYPTION if shards.session.is_on(key)), None)
