"""Params that are told when a name is wrong."""

from __future__ import annotations

from typing import Any, Self

from pyspark.ml.param import Params

from dpnn.nn import nearest


class CheckedParams(Params):
    """Params that are set by name: a wrong one hears the nearest right one."""

    def _set(self, **kwargs: Any) -> Self:
        names = [param.name for param in self.params]
        for name in kwargs:
            if name not in names:
                raise TypeError(
                    f"{type(self).__name__} has no Param {name!r}{nearest(name, names)}"
                )
        return super()._set(**kwargs)
