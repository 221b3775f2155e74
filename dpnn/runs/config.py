"""Run files: a training written down as TOML, checked key by key before anything starts.

    [data]      train, validation, label, weight, where; inputs, or raw columns: numeric,
                categorical, date (none of them: by type)
    [model]     layers = [{type = "Dense", units = 256}, …]   or   factory = "my_module:build"
                or, of raw columns, recipe = "tabm"   or   {type = "tabm", members = 16}
    [training]  loss, optimizer, schedule, num_shards, and what `Trainer` takes: batch_size, …
    [output]    model, checkpoints, history

`--set section.key=value` overrides; the value is TOML, or a bare string. Paths are those of the
file systems of the caller; "package:digits/train" is the data set inside the package. Driver.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import tomllib
import types
import typing
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from dpnn import nn, recipes
from dpnn.models import modelfile
from dpnn.nn.core.fields import is_number
from dpnn.runs.run import ConfigError, Data, Output, Recipe, Run
from dpnn.training.trainer import Trainer

_NAMES = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of strings",
    dict: "a table",
    nn.Loss: 'a loss, e.g. "MeanSquaredError"',
    nn.Optimizer: 'an optimizer, e.g. {type = "Adam", learning_rate = 0.001}',
    nn.Schedule: 'a schedule, e.g. {type = "CosineDecay", rate = 0.001, steps = 1000}',
}


_SOME = recipes.Facts(rows=1000, numbers=1, places=1)
_ELSEWHERE = ("model", "checkpoints")  # fields of Trainer that other sections give


def read_run(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Run:
    """Read and check a run file. ConfigError or FileNotFoundError, in one line each."""
    try:
        tables = tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no run file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise ConfigError(f"{path} is not a TOML file: {error}") from None
    reader = _Reader(str(path))
    for override in overrides:
        reader.override(tables, override)
    return reader.run(tables)


class _Reader:
    """Knows where each key came from, for the messages."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.overridden: dict[str, str] = {}  # dotted key -> the --set that gave it
        training = {**_trainer_hints(), "schedule": nn.Schedule, "num_shards": int}
        model = {"layers": list, "factory": str, "recipe": str}
        self.sections: dict[str, dict[str, Any]] = {
            "data": typing.get_type_hints(Data),
            "model": model,
            "training": training,
            "output": typing.get_type_hints(Output),
        }

    def run(self, tables: dict[str, Any]) -> Run:
        self.known("", tables, self.sections)
        for name in self.sections:
            if not isinstance(tables.setdefault(name, {}), dict):
                raise self.error(name, f"must be a section: write [{name}]")
        data = self.section("data", tables["data"])
        output = self.section("output", tables["output"])
        model = self.model(tables["model"])
        self.data(data, isinstance(model, Recipe))
        settings = self.training(tables["training"], isinstance(model, Recipe))
        shards = settings.pop("num_shards", None)
        run = Run(Path(self.file).stem, Data(**data), model, settings, shards, Output(**output))
        try:
            if isinstance(model, Recipe):  # of some table: what is wrong with it is so of any
                recipes.make(_SOME, model.name, **model.options)
            else:
                modelfile.check_savable(model)
        except (TypeError, ValueError) as error:
            raise self.error("model", f"is not right: {error}") from None
        try:
            if isinstance(model, Recipe):
                Trainer(**model.settings(settings, _SOME))
            else:
                run.trainer()
        except (TypeError, ValueError) as error:
            raise self.error("training", f"is not right: {error}") from None
        return run

    def data(self, data: dict[str, Any], recipe: bool) -> None:
        raw = [name for name in ("numeric", "categorical", "date") if data.get(name)]
        if data.get("inputs") is not None and (raw or recipe):
            other = f"data.{raw[0]}" if raw else "model.recipe"
            raise self.error(
                "data.inputs",
                f"names columns as they are, and {other} is of raw ones: name raw columns under "
                "numeric, categorical and date, or none at all",
            )
        inputs = [] if raw or recipe else ["inputs"]
        self.required("data", data, ["train", *inputs, "label"])

    def training(self, table: dict[str, Any], recipe: bool) -> dict[str, Any]:
        settings = self.section("training", table)
        self.required("training", settings, [] if recipe else ["loss"])
        if recipe and "optimizer" not in settings:
            return settings  # the recipe's own takes the schedule
        schedule = settings.pop("schedule", None)
        if schedule is not None:
            optimizer = settings.get("optimizer", nn.Adam())
            settings["optimizer"] = dataclasses.replace(optimizer, learning_rate=schedule)
        return settings

    def model(self, table: dict[str, Any]) -> nn.Layer | Recipe:
        self.known("model", table, self.sections["model"])
        if len(table) != 1:
            raise self.error(
                "model", 'needs one of layers = [...], factory = "module:function", recipe = "tabm"'
            )
        if "factory" in table:
            return self.factory(table["factory"])
        if "recipe" in table:
            return self.recipe(table["recipe"])
        layers = table["layers"]
        if not isinstance(layers, list) or not all(isinstance(item, dict) for item in layers):
            raise self.error("model.layers", 'must be a list like [{type = "Dense", units = 10}]')
        made = []
        for i, spec in enumerate(layers):
            made.append(self.spec(f"model.layers[{i}]", spec, nn.Layer))
        return nn.Sequential(*made)

    def recipe(self, told: Any) -> Recipe:
        if isinstance(told, str):
            return Recipe(told, {})
        if not isinstance(told, dict) or not isinstance(told.get("type"), str):
            raise self.error("model.recipe", 'must be like "tabm" or {type = "tabm", members = 16}')
        return Recipe(told["type"], {key: value for key, value in told.items() if key != "type"})

    def factory(self, name: Any) -> nn.Layer:
        module, _, function = str(name).partition(":")
        try:
            model = getattr(importlib.import_module(module), function)()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            lost = isinstance(error, ModuleNotFoundError)
            cure = ": put it on PYTHONPATH or into --py-files" if lost else ""
            raise self.error("model.factory", f"= {name!r}: {error}{cure}") from None
        if not isinstance(model, nn.Layer):
            raise self.error("model.factory", f"= {name!r} gave {model!r}, not a dpnn.nn layer")
        return model

    def section(self, name: str, table: dict[str, Any]) -> dict[str, Any]:
        """The values of a section, specs made into objects, each of its hint's type."""
        hints = self.sections[name]
        self.known(name, table, hints)
        return {key: self.value(f"{name}.{key}", v, hints[key]) for key, v in table.items()}

    def value(self, key: str, value: Any, hint: Any) -> Any:
        kinds = [k for k in _kinds(hint) if k is not type(None)]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, (nn.Loss, nn.Optimizer, nn.Schedule)):
                if isinstance(value, (str, dict)):
                    return self.spec(key, value, kind)
            elif _is(value, kind):
                return float(value) if kind is float else value
        wanted = " or ".join(_NAMES.get(typing.get_origin(k) or k, str(k)) for k in kinds)
        raise self.error(key, f"must be {wanted}, got {value!r}")

    def spec(self, key: str, spec: Any, kind: type) -> Any:
        if isinstance(spec, dict) and "type" not in spec:
            raise self.error(key, f'has no type: write {{type = "…", …}}, not {spec}')
        try:
            made = nn.from_spec({"type": spec} if isinstance(spec, str) else spec)
        except ValueError as error:
            raise self.error(key, f"is not right: {error}") from None
        if not isinstance(made, kind):
            raise self.error(key, f"must be {kind.__name__.lower()}, got {type(made).__name__}")
        return made

    def known(self, section: str, table: dict[str, Any], names: Iterable[str]) -> None:
        names = list(names)
        for key in table:
            if key not in names:
                dotted = f"{section}.{key}" if section else key
                others = (s for s, keys in self.sections.items() if section and key in keys)
                if other := next(others, None):
                    raise ConfigError(
                        f"{dotted!r} in {self.origin(dotted)} belongs into the section {other}"
                    )
                raise ConfigError(
                    f"unknown key {dotted!r} in {self.origin(dotted)}{nn.nearest(key, names)}"
                )

    def required(self, section: str, values: dict[str, Any], names: list[str]) -> None:
        for key in names:
            if values.get(key) is None:
                raise ConfigError(
                    f"{section}.{key} is missing in {self.file}: "
                    f"write it there, or give --set {section}.{key}=…"
                )

    def error(self, key: str, text: str) -> ConfigError:
        return ConfigError(f"{key} in {self.origin(key)} {text}")

    def origin(self, key: str) -> str:
        """The file, or the --set that gave this key or something below or above it."""
        key = key.replace("[", ".").replace("]", "")
        for dotted, text in self.overridden.items():
            if f"{dotted}.".startswith(f"{key}.") or f"{key}.".startswith(f"{dotted}."):
                return f"--set {text}"
        return self.file

    def override(self, tables: dict[str, Any], text: str) -> None:
        """Put one `section.key=value` into the tables."""
        dotted, equals, raw = text.partition("=")
        dotted = dotted.strip()
        path = dotted.split(".")
        if not equals or len(path) < 2 or not all(path):
            raise ConfigError(f"--set {text}: expected section.key=value")
        try:
            value = tomllib.loads(f"value = {raw}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            value = raw.strip()
        node: Any = tables
        for part, below in pairwise(path):
            node = _step(node, part, text)
            _check_index(node, below, text)
        node[int(path[-1]) if isinstance(node, list) else path[-1]] = value
        self.overridden[dotted] = text


def _step(node: Any, part: str, text: str) -> Any:
    """One level down; a bare type name becomes the table that it stands for."""
    key: Any = int(part) if isinstance(node, list) else part
    below = node[key] if isinstance(node, list) else node.setdefault(key, {})
    if isinstance(below, str) and text.startswith(("model.", "training.")):
        below = node[key] = {"type": below}
    if not isinstance(below, (dict, list)):
        raise ConfigError(f"--set {text}: {part} is {below!r} and has nothing below it")
    return below


def _check_index(node: Any, part: str, text: str) -> None:
    if isinstance(node, list) and not (part.isdecimal() and int(part) < len(node)):
        raise ConfigError(f"--set {text}: there is no item {part} in a list of {len(node)}")


def _trainer_hints() -> dict[str, Any]:
    """What of `Trainer` can be written in TOML, with its types."""
    hints = {
        name: str if typing.get_origin(hint) is typing.Literal else hint  # Trainer says which
        for name, hint in typing.get_type_hints(Trainer).items()
    }
    simple = (str, int, float, bool, list[str], type(None), nn.Loss, nn.Optimizer)
    fields = [f.name for f in dataclasses.fields(Trainer) if f.name not in _ELSEWHERE]
    return {name: hints[name] for name in fields if all(k in simple for k in _kinds(hints[name]))}


def _kinds(hint: Any) -> tuple[Any, ...]:
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def _is(value: Any, kind: Any) -> bool:
    kind = typing.get_origin(kind) or kind
    if kind in (int, float):
        return is_number(value) and (kind is float or isinstance(value, int))
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, kind)
