"""Driver, before the first step: whether a dataset's labels are what loss and model take."""

from __future__ import annotations

from math import prod

from dpnn import nn
from dpnn.data.dataset import Dataset
from dpnn.nn.core.losses import same_rows

_NAMES = {"train": "training", "validation": "validation"}


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
    label = None if data.columns is None else data.columns.label
    where = "the label" if label is None else f"the label column {label!r}"
    classes = () if data.encoders is None else data.encoders.classes
    told = repr(classes[int(low)]) if classes else f"{low:g}"
    raise ValueError(
        f"{where} has one class alone, {told}, in all {data.rows['train']:,} training rows: "
        "nothing can be learned of it; check the label and the filter of the rows"
    )


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
