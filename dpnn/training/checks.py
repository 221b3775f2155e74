"""Driver, before the first step: whether a dataset's labels are what loss and model take."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from dpnn import nn
from dpnn.data.checks import span_of
from dpnn.data.dataset import Dataset
from dpnn.nn.core.losses import same_rows

_ALIKE, _FEW = 0.9, 100  # classes to a row, from so many rows on, that make a label an id
_NAMES = {"train": "training", "validation": "validation"}
_EXACT = (nn.Normalization, nn.Embedding, nn.OneHot, nn.Select, nn.Flatten, nn.Reshape)
_FINE = 2**20  # steps of a range that are more than a network makes use of


def check_labels(data: Dataset, network: nn.Network, loss: nn.Loss) -> None:
    """ValueError where labels are not what the loss takes with the model's outputs."""
    for split in data.rows:
        _check_shape(_NAMES[split], data.label_shape(split), network, loss)
    for split in data.rows:
        _check_range(_NAMES[split], data.labels(split) or (0, 0, None), network, loss)
    if loss.task != "values":
        check_classes(data)


def check_classes(data: Dataset) -> None:
    """ValueError where all training rows have one label."""
    low, high, _ = data.labels("train") or (0.0, 1.0, None)
    if low < high:
        return
    names = _names(data)
    told = repr(names[int(low)]) if names else f"{low:g}"
    raise ValueError(
        f"{_label(data)} has one class alone, {told}, in all {data.rows['train']:,} training rows: "
        "nothing can be learned of it; check the label and the filter of the rows"
    )


def class_count(data: Dataset) -> int:
    """How many classes the labels of all splits are of; ValueError where they are no classes."""
    check_classes(data)
    rows = data.rows["train"]
    if names := _names(data):
        if rows >= _FEW and len(names) >= _ALIKE * rows:
            raise ValueError(
                f"{_label(data)} has {len(names):,} classes in {rows:,} training rows: taken for "
                "an id, of which nothing can be learned; name the column of the classes"
            )
        return len(names)
    low, high, broken = span_of(map(data.labels, data.rows)) or (0.0, 1.0, None)
    cure = "number the classes from 0 on (StringIndexer does), or take a regressor for a quantity"
    if low < 0 or broken is not None:
        odd = low if low < 0 else broken
        raise ValueError(f"{_label(data)} has {odd:g}, which is no class number: {cure}")
    if high >= rows:
        raise ValueError(
            f"{_label(data)} has class numbers up to {high:.0f}, more than the {rows:,} training "
            f"rows: {cure}"
        )
    return int(high) + 1


def _names(data: Dataset) -> tuple[str, ...]:
    """Of the classes of a label that is text."""
    return () if data.encoders is None else data.encoders.classes


def _label(data: Dataset) -> str:
    label = None if data.columns is None else data.columns.label
    return "the label" if label is None else f"the label column {label!r}"


def unseen_classes(data: Dataset) -> str | None:
    """What to say of class numbers that validation rows alone have, as far as their ends tell."""
    train = data.labels("train")
    held = data.labels("validation") if data.has("validation") else None
    if train is None or held is None:
        return None
    (low, high, _), (least, most, _) = train, held
    if low <= least and most <= high:
        return None
    return (
        f"validation rows have labels from {least:g} to {most:g}, training rows from {low:g} to "
        f"{high:g}: the model cannot learn what training rows have not; drop such rows or train "
        "with some"
    )


def blurred(data: Dataset, network: nn.Network) -> str | None:
    """What to say of whole numbers of which float32 makes one, where a layer takes them so."""
    rounding = _rounding(network.context)
    for name, (lows, highs) in data.ranges.items():
        if name not in rounding:
            continue
        for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
            apart = float(np.spacing(np.float32(max(-low, high))))
            if apart > 1 and 0 < high - low < _FINE * apart:
                return (
                    f"{_told(data, name, channel)} runs from {low:.0f} to {high:.0f}: there "
                    f"{type(rounding[name]).__name__}'s float32 tells only numbers {apart:.0f} "
                    "apart; begin with nn.Normalization(), subtract their lowest first, or name "
                    "the column in dpnn.columns(numeric=[…])"
                )
    return None


def _rounding(place: nn.Context) -> dict[str, nn.Layer]:
    """Of each array of inputs the layer that makes float32 of it; of ids none does."""
    children = place.children[:1] if place.layer.chained else place.children
    if not children:
        return {} if isinstance(place.layer, _EXACT) else {"x": place.layer}
    if isinstance(first := children[0].layer, nn.Input):
        layers = [layer for child in place.children[1:2] for layer in _rounding(child).values()]
        return {f"x.{first.name}": layers[0]} if layers else {}
    return {name: layer for child in children for name, layer in _rounding(child).items()}


def _told(data: Dataset, name: str, channel: int) -> str:
    """One channel of an input, by its column where it has one."""
    inputs = None if data.columns is None else data.columns.inputs
    columns = inputs.get(name[2:]) if isinstance(inputs, Mapping) else inputs
    if isinstance(columns, str):
        return f"column {columns!r}"
    if columns is not None and len(columns) == len(data.ranges[name][0]):
        return f"column {columns[channel]!r}"
    return f"input {name[2:]!r}, channel {channel}" if name[2:] else f"X, channel {channel}"


def _check_shape(
    name: str, shape: tuple[int, ...] | None, network: nn.Network, loss: nn.Loss
) -> None:
    outputs = network.output_shape
    wanted = outputs[:-1] if loss.task == "classes" else outputs
    if shape is None or same_rows(shape, wanted):
        return
    sizes = prod(shape), prod(wanted)
    got, takes = (shape, wanted) if sizes[0] == sizes[1] else sizes
    raise ValueError(
        f"{name} labels are {got} to a row, but {type(loss).__name__} takes {takes} with "
        f"the model's outputs {outputs}: change the last layer, the loss or the label"
    )


def _check_range(
    name: str, labels: tuple[float, float, float | None], network: nn.Network, loss: nn.Loss
) -> None:
    if loss.task == "values":
        return
    outputs = network.output_shape
    top = outputs[-1] - 1 if loss.task == "classes" else 1
    low, high, broken = labels
    if low < 0 or high > top:
        raise ValueError(
            f"{name} label {low if low < 0 else high:g} is out of range: the model's "
            f"outputs {outputs} stand for labels 0 to {top}"
        )
    if broken is not None and loss.task == "classes":
        raise ValueError(
            f"{name} label {broken:g} is no class number: {type(loss).__name__} takes "
            f"whole numbers from 0 to {top}"
        )
