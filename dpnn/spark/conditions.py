"""Expressions of Spark's plans that tasks can compute themselves: columns, and conditions on them.

A condition compares a column with literals, or joins such tests by and, or, not. It has Spark's
three values: what is null is neither true nor false, and leaves no row.

Driver; classic sessions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_WIDTHS = {"boolean": 0, "tinyint": 1, "smallint": 2, "int": 3, "bigint": 4}
NUMBERS = (*_WIDTHS, "float", "double")
_JOINED = {"And": "and", "Or": "or", "Not": "not"}
_TURNED = {
    "EqualTo": "EqualTo",
    "LessThan": "GreaterThan",
    "LessThanOrEqual": "GreaterThanOrEqual",
    "GreaterThan": "LessThan",
    "GreaterThanOrEqual": "LessThanOrEqual",
}


@dataclass(frozen=True)
class Field:
    """A column of the files, or of their partitions.

    kind    its type, as Spark has it
    target  what it is cast to: "float", "double", a wider whole number, or "" as it is
    """

    name: str
    kind: str
    target: str = ""
    of_partition: bool = False


@dataclass(frozen=True)
class Condition:
    """A test of a field, or several tests joined.

    kind    "and", "or", "not", of `parts`; of the field: "is" (a boolean), "IsNull", "IsNotNull",
            "In" with literals, or Spark's name of a comparison with a literal
    """

    kind: str
    parts: tuple[Condition, ...] = ()
    field: Field | None = None
    literals: tuple[Any, ...] = ()

    def fields(self) -> Iterator[Field]:
        if self.field is not None:
            yield self.field
        for part in self.parts:
            yield from part.fields()


def field_of(expression: Any, partition: set[str]) -> Field | None:
    """A column as it is, or cast to a type that holds it."""
    target = ""
    if kind_of(expression) == "Cast":
        target, expression = expression.dataType().simpleString(), expression.child()
    if kind_of(expression) != "AttributeReference":
        return None
    kind, name = expression.dataType().simpleString(), expression.name()
    if target and not _holds(target, kind):
        return None
    return Field(name, kind, target, name in partition)


def condition_of(expression: Any, partition: set[str]) -> Condition | None:
    """None where there is anything in it that is not known to come out the same."""
    kind = kind_of(expression)
    if kind in _JOINED:
        parts = [condition_of(part, partition) for part in each(expression.children())]
        known = tuple(part for part in parts if part is not None)
        return Condition(_JOINED[kind], known) if len(known) == len(parts) else None
    if kind in _TURNED:
        left, right = expression.left(), expression.right()
        if kind_of(left) == "Literal":
            kind, left, right = _TURNED[kind], right, left
        return _test(kind, left, _literals([right]), partition)
    if kind == "In":
        return _test(kind, expression.value(), _literals(each(expression.list())), partition)
    if kind == "InSet":
        return _test("In", expression.child(), each(expression.hset().toSeq()), partition)
    if kind in ("IsNull", "IsNotNull"):
        return _test(kind, expression.child(), [], partition)
    return _test("is", expression, [], partition)


def _literals(expressions: list[Any]) -> list[Any]:
    """Their values; None for what is no literal."""
    return [one.value() if kind_of(one) == "Literal" else None for one in expressions]


def _test(kind: str, tested: Any, values: list[Any], partition: set[str]) -> Condition | None:
    """Of a field and literals, which have the type that it is cast to."""
    field = field_of(tested, partition)
    if field is None or field.kind not in (*NUMBERS, "string"):
        return None
    compared = field.target or field.kind
    if (kind == "is" and compared != "boolean") or (kind == "In" and compared in NUMBERS[-2:]):
        return None
    literals = tuple(map(plain, values))
    if any(one is None or (isinstance(one, float) and math.isnan(one)) for one in literals):
        return None
    return Condition(kind, (), field, literals)


def conjuncts(expression: Any) -> list[Any]:
    """The conditions that one of them joins by and."""
    if kind_of(expression) != "And":
        return [expression]
    return [*conjuncts(expression.left()), *conjuncts(expression.right())]


def plain(value: Any) -> Any:
    """A value of Spark's; its strings as Python's."""
    return value if value is None or isinstance(value, bool | int | float) else value.toString()


def kind_of(expression: Any) -> str:
    return str(expression.getClass().getSimpleName())


def each(items: Any) -> list[Any]:
    return [items.apply(i) for i in range(items.size())]


def _holds(target: str, kind: str) -> bool:
    """Whether a cast is one that NumPy makes the same."""
    if kind not in NUMBERS:
        return False
    return target in ("float", "double") or _WIDTHS.get(target, -1) >= _WIDTHS.get(kind, 9)
