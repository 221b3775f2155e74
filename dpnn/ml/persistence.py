"""Estimators' and models' folders: metadata as pyspark.ml writes it, and the model file beside it.

    PATH/metadata            JSON: class, uid, Params, and of a model its facts
    PATH/model.safetensors   the model file of `dpnn.load`

On any file system that Spark reaches. Nothing is pickled. Driver.
"""

from __future__ import annotations

from typing import Any

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReader, MLWriter

from dpnn.models.model import load
from dpnn.spark.session import is_connect

FILE = "model.safetensors"


class ModelWriter(MLWriter):
    """Of a network model."""

    def __init__(self, instance: Any) -> None:
        super().__init__()
        self.instance = instance

    def _handleOverwrite(self, path: str) -> None:
        """pyspark's own asks a JVM, which is not there over Spark Connect."""
        if not is_connect(self.sparkSession):
            super()._handleOverwrite(path)
            return
        from pyspark.ml.util import _remove_dfs_dir

        _remove_dfs_dir(path, self.sparkSession)

    def saveImpl(self, path: str) -> None:
        facts = {"facts": self.instance._facts()}
        DefaultParamsWriter.saveMetadata(self.instance, path, self.sparkSession, facts)
        self.instance.trained.save(f"{path.rstrip('/')}/{FILE}")


class ModelReader(MLReader[Any]):
    """Of a network model's class."""

    def __init__(self, cls: type[Any]) -> None:
        super().__init__()
        self.cls = cls

    def load(self, path: str) -> Any:
        cls: Any = self.cls
        metadata = DefaultParamsReader.loadMetadata(path, self.sparkSession)
        expected = f"{cls.__module__}.{cls.__name__}"
        if metadata["class"] != expected:
            raise ValueError(f"{path} holds a {metadata['class']}, not a {expected}")
        model = cls(load(f"{path.rstrip('/')}/{FILE}"), metadata["facts"])
        model._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(model, metadata)
        return model
