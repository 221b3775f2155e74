"""dpnn: neural networks trained on Apache Spark, right where the Parquet lies.

`dpnn.nn` is a complete small library that needs neither Spark nor a cluster. The names of the
driver's side are loaded when they are first asked for: an executor, which needs NumPy and pyarrow
alone, never asks.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpnn import datasets, nn, recipes
    from dpnn.data.dataset import Dataset
    from dpnn.data.encoders.wishes import Category, Date, Number, columns
    from dpnn.models.model import TrainedModel, load
    from dpnn.runs import cli
    from dpnn.runs.config import read_run
    from dpnn.spark import files
    from dpnn.training.trainer import Result, Trainer

__version__ = "0.1.0"
__all__ = [
    "Category",
    "Dataset",
    "Date",
    "Number",
    "Result",
    "TrainedModel",
    "Trainer",
    "cli",
    "columns",
    "datasets",
    "files",
    "load",
    "nn",
    "read_run",
    "recipes",
]

_HOMES = {  # name -> its module; a room is a module itself
    "Category": "dpnn.data.encoders.wishes",
    "Dataset": "dpnn.data.dataset",
    "Date": "dpnn.data.encoders.wishes",
    "Number": "dpnn.data.encoders.wishes",
    "Result": "dpnn.training.trainer",
    "TrainedModel": "dpnn.models.model",
    "Trainer": "dpnn.training.trainer",
    "cli": "dpnn.runs.cli",
    "columns": "dpnn.data.encoders.wishes",
    "datasets": "dpnn.datasets",
    "files": "dpnn.spark.files",
    "load": "dpnn.models.model",
    "nn": "dpnn.nn",
    "read_run": "dpnn.runs.config",
    "recipes": "dpnn.recipes",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if not TYPE_CHECKING:  # a type checker that saw it would let every name pass

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            from dpnn.nn.core.spec import nearest

            raise AttributeError(f"dpnn: no {name!r}{nearest(name, __all__)}")
        home = import_module(_HOMES[name])
        return getattr(home, name, home)
