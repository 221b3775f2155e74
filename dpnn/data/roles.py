"""Which columns of a DataFrame are what. Driver; needs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Columns:
    """Which columns of a DataFrame are what; `inputs` as the user gave them."""

    inputs: Any
    label: str | list[str]
    weight: str | None = None


def is_frame(data: Any) -> bool:
    """Whether this is a Spark DataFrame; asks without importing Spark."""
    return type(data).__module__.startswith("pyspark.sql")
