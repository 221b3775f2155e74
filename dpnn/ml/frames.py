"""DataFrames on their way to an estimator: rows with nothing missing, and rows that validate."""

from __future__ import annotations

from typing import Any

from pyspark.ml.linalg import SparseVector
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from dpnn.data.columns import find
from dpnn.data.sparse import WIDE

HELD = "__dpnn_validation__"
_LOOK = 20  # rows that tell whether vectors are sparse
_PARTS = 1_000_000  # groups are dealt to validation by a hash below a share of this


def is_wide(df: DataFrame, name: str) -> bool:
    """Whether a column has sparse vectors of very many numbers, by its first rows: encoders, which
    look at each number and move zeros, are not for them.
    """
    if find(df, name).dataType.simpleString() != "vector":
        return False
    vectors = [row[0] for row in df.select(_quoted(name)).take(_LOOK)]
    return any(isinstance(vector, SparseVector) and vector.size >= WIDE for vector in vectors)


def all_known(df: DataFrame, names: list[str], skip: bool) -> DataFrame:
    """Rows in which all of the columns are there: the others are left out, or an error."""
    kinds = {field.name: field.dataType for field in df.schema.fields}
    known = F.lit(True)
    for name in names:
        column = _quoted(name)
        known = known & column.isNotNull()
        if isinstance(kinds.get(name), (T.FloatType, T.DoubleType)):
            known = known & ~F.isnan(column)
    if skip:
        return df.where(known)
    told = (
        f"a row has a null or NaN among {', '.join(names)}: drop or fill it, or "
        "setHandleInvalid('keep' or 'skip')"
    )
    return df.where(F.when(known, True).otherwise(F.raise_error(F.lit(told)).cast("boolean")))


def held_out(df: DataFrame, params: Any) -> tuple[DataFrame, Any]:
    """The frame, and what `Dataset` takes as validation: by column, time, group or share."""
    asked = [
        param.name
        for param in (params.validationIndicatorCol, params.timeCol, params.groupCol)
        if params.isDefined(param) and params.getOrDefault(param)
    ]
    if len(asked) > 1:
        raise ValueError(f"{' and '.join(asked)} both say which rows validate: give one of them")
    share = params.getValidationFraction()
    if not 0 <= share < 1:
        raise ValueError(f"validationFraction is from 0 to below 1, not {share:g}")
    if "validationIndicatorCol" in asked:
        return df, params.getValidationIndicatorCol()
    if share == 0:
        return df, None
    if "timeCol" in asked:
        return df.withColumn(HELD, _late(df, params.getTimeCol(), share)), HELD
    if "groupCol" in asked:
        group = find(df, params.getGroupCol()).name
        dealt = F.pmod(F.xxhash64(_quoted(group)), F.lit(_PARTS))
        return df.withColumn(HELD, dealt < int(share * _PARTS)), HELD
    return df, share


def _late(df: DataFrame, name: str, share: float) -> Column:
    """Whether a row is among the latest."""
    time = _quoted(name)
    if isinstance(find(df, name).dataType, (T.DateType, T.TimestampType, T.TimestampNTZType)):
        time = time.cast("timestamp").cast("double")
    edge = df.select(F.percentile_approx(time, 1 - share, 10_000)).first()
    return time > F.lit(None if edge is None else edge[0])


def _quoted(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")
