"""dpnn: neural networks trained on Apache Spark, right where the Parquet lies.

`dpnn.nn` is a complete small library that needs neither Spark nor a cluster. The names of the
driver's side are loaded when they are first asked for: an executor, which needs NumPy and pyarrow
alone, never asks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpnn import nn
    from dpnn.training.model import TrainedModel, load
    from dpnn.training.trainer import Result, Trainer

__version__ = "0.1.0"
__all__ = ["Result", "TrainedModel", "Trainer", "load", "nn"]

_HOMES = {
    "nn": "dpnn.nn",
    "Result": "dpnn.training.trainer",
    "TrainedModel": "dpnn.training.model",
    "Trainer": "dpnn.training.trainer",
    "load": "dpnn.training.model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'dpnn' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    return home if name == "nn" else getattr(home, name)
