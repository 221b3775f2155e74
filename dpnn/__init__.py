"""dpnn: neural networks trained on Apache Spark, right where the Parquet lies.

`dpnn.nn` is a complete small library that needs neither Spark nor a cluster. The names of the
driver's side are loaded when they are first asked for: an executor, which needs NumPy and pyarrow
alone, never asks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpnn import datasets, nn
    from dpnn.models.model import TrainedModel, load
    from dpnn.runs import cli
    from dpnn.runs.config import read_run
    from dpnn.spark import files
    from dpnn.training.trainer import Result, Trainer

__version__ = "0.1.0"
__all__ = [
    "Result",
    "TrainedModel",
    "Trainer",
    "cli",
    "datasets",
    "files",
    "load",
    "nn",
    "read_run",
]

_MODULES = {
    "cli": "dpnn.runs.cli",
    "datasets": "dpnn.datasets",
    "files": "dpnn.spark.files",
    "nn": "dpnn.nn",
}
_HOMES = {
    "Result": "dpnn.training.trainer",
    "TrainedModel": "dpnn.models.model",
    "Trainer": "dpnn.training.trainer",
    "load": "dpnn.models.model",
    "read_run": "dpnn.runs.config",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'dpnn' has no attribute {name!r}")
