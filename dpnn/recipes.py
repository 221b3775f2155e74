"""Recipes: strong networks for tables, as expressions of layers that one can print and change.

    with Dataset(df, dpnn.columns(), label="income", validation=0.1) as data:
        settings = recipes.tabm(recipes.Facts.of(data))  # what Trainer takes: model, loss, …
        settings["model"]                                # look at it, change it
        Trainer(**settings).fit(data)

A model's inputs are what the encoders make of raw columns: `numbers` (n, W), scaled, with flags of
what is missing; `places` (n, F), each number's place among its column's bins; `categories` (n, C),
codes. What stands here was chosen by measurement and is tuned for no table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import signature
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from dpnn import nn

if TYPE_CHECKING:
    from dpnn.data.dataset import Dataset

Task = Literal["values", "binary", "classes"]

UNSEEN = 1  # the code of a category that training rows have not
ONE_HOT = 64  # the most codes of a column that is not an embedding
FEATURES = 1024  # the most that embeddings make of all columns; each makes 4 to 16
SPARSE = 100_000  # codes from which on a step meets few of a column's
EMBEDDED = 256  # the most columns of numbers that are embedded; of more, they are taken as they are


@dataclass(frozen=True)
class Facts:
    """What a recipe has to know of a table.

    rows     in training
    numbers  columns of the input `numbers`; 0 where there is no such input
    places   columns of the input `places`; 0 likewise
    bins     the most that a column of places has
    sizes    codes of each column of the input `categories`, missing and unseen among them
    task     what the label is
    outputs  classes, or numbers of a row's label
    center   the mean of a label of values, and its deviation: `scale`
    """

    rows: int
    numbers: int = 0
    places: int = 0
    bins: int = 1
    sizes: tuple[int, ...] = ()
    task: Task = "values"
    outputs: int = 1
    center: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not (self.numbers or self.places or self.sizes):
            raise ValueError("a table without columns: no numbers, no places and no categories")
        if self.task == "classes" and self.outputs < 2:
            raise ValueError(f"a label of {self.outputs} class: nothing can be learned of it")

    @classmethod
    def of(cls, dataset: Dataset, task: Task | None = None, outputs: int | None = None) -> Facts:
        """Those of a dataset of raw columns, or of one input "numbers" that is taken as it is. A
        label of text tells its task and its classes; one of numbers is one of values, unless
        `task` says that they are class numbers.
        """
        encoders, shape = dataset.encoders, dataset.input_shape
        if encoders is None and isinstance(shape, dict) and list(shape) == ["numbers"]:
            return _plain(dataset, shape["numbers"][0], task or "values", outputs or 1)
        if encoders is None:
            raise ValueError("a recipe needs raw columns: give the Dataset inputs=dpnn.columns(…)")
        classes = len(encoders.classes)
        if task is None:
            task = "classes" if classes else "values"
            task = "binary" if classes == 2 else task
        values = task == "values"
        return cls(
            rows=dataset.rows["train"],
            numbers=len(encoders.number_names),
            places=len(encoders.numbers),
            bins=max((len(encoder.edges) - 1 for encoder in encoders.numbers), default=0) or 1,
            sizes=tuple(encoders.sizes.values()),
            task=task,
            outputs=outputs or (classes if task == "classes" else 1),
            center=encoders.center if values else 0.0,
            scale=encoders.deviation if values else 1.0,
        )

    @property
    def batch_size(self) -> int:
        """256 rows, and more of larger tables: cores are used better, and steps are enough."""
        return 256 if self.rows <= 20_000 else 512 if self.rows <= 100_000 else 1024


def _plain(dataset: Dataset, width: int, task: Task, outputs: int) -> Facts:
    """Without encoders. A label's ends stand for its deviation."""
    low, high, _ = dataset.labels("train") or (0.0, 1.0, None)
    center, scale = (0.0, 1.0) if task != "values" else ((low + high) / 2, (high - low) / 4 or 1.0)
    return Facts(
        dataset.rows["train"],
        numbers=width,
        task=task,
        outputs=outputs,
        center=center,
        scale=scale,
    )


def tabm(
    facts: Facts,
    members: int = 8,
    width: int = 128,
    depth: int = 2,
    features: int = 16,
    dropout: float = 0.1,
    learning_rate: float = 0.003,
    weight_decay: float = 3e-4,
    epochs: int = 200,
    patience: int = 8,
) -> dict[str, Any]:
    """An ensemble in one network over piecewise-linear numbers: the default. Needs validation rows.

    TabM-mini, Gorishniy et al. 2025 (arXiv 2410.24210).
    """
    features = max(min(features, FEATURES // max(facts.places, 1)), 4)
    few = facts.places <= EMBEDDED
    embedding = nn.PiecewiseLinear(facts.bins, features) if few else None
    block = (nn.Dense(width), nn.ReLU(), nn.Dropout(dropout))
    model = nn.Sequential(
        _inputs(facts, embedding),
        nn.Members(members),
        *block * depth,
        nn.MemberDense(facts.outputs),
        nn.MeanOfMembers(facts.task),
        *_units(facts),
    )
    return {
        "model": model,
        "loss": nn.EachMember(_loss(facts)),
        "optimizer": nn.AdamW(learning_rate, weight_decay=weight_decay),
        "batch_size": facts.batch_size,
        "epochs": epochs,
        "patience": patience,
        "clip_norm": 1.0,
        "ema": 0.99,
    }


def realmlp(
    facts: Facts,
    small: bool = False,
    width: int = 256,
    depth: int = 3,
    dropout: float = 0.15,
    weight_decay: float = 0.02,
    label_smoothing: float = 0.0,
    epochs: int = 256,
) -> dict[str, Any]:
    """One network over periodic numbers, on a long schedule; validation rows choose the epoch.

    RealMLP, Holzmüller et al. 2024 (arXiv 2407.04491). small: no embedding of numbers, no dropout,
    no decay, and the last layer begins at 0. Smoothed labels of two classes have an output each.
    """
    if label_smoothing and facts.task == "binary":
        facts = replace(facts, task="classes", outputs=2)
    activation = nn.Mish() if facts.task == "values" else nn.SELU()
    block: tuple[nn.Layer, ...]
    block = (nn.NTKDense(width, bias_rate=0.1), nn.Blend(activation, rate=0.1))
    if not small:
        block += (nn.Dropout(dropout),)
    last = nn.NTKDense(facts.outputs, bias_rate=0.1, initial="zeros" if small else "normal")
    model = nn.Sequential(
        _inputs(facts, None if small else nn.PeriodicEmbedding(rate=0.1)),
        nn.Scale(rate=6.0),
        *block * depth,
        last,
        *_units(facts),
    )
    rate = 0.2 if facts.task == "values" else 0.04
    steps = epochs * ceil(facts.rows / facts.batch_size)
    return {
        "model": model,
        "loss": _loss(facts, label_smoothing),
        "optimizer": nn.AdamW(
            nn.CosineLog(rate, steps), beta2=0.95, weight_decay=0.0 if small else weight_decay
        ),
        "batch_size": facts.batch_size,
        "epochs": epochs,
        "patience": epochs,
    }


def mlp(
    facts: Facts, hidden: tuple[int, ...] = (256, 128), dropout: float = 0.1, epochs: int = 50
) -> dict[str, Any]:
    """A plain network with ReLU over scaled numbers and one-hot categories."""
    layers = [(nn.Dense(units), nn.ReLU(), nn.Dropout(dropout)) for units in hidden]
    model = nn.Sequential(
        _inputs(facts, None),
        *(layer for block in layers for layer in block),
        nn.Dense(facts.outputs),
        *_units(facts),
    )
    return {
        "model": model,
        "loss": _loss(facts),
        "optimizer": nn.AdamW(1e-3, weight_decay=1e-4),
        "batch_size": facts.batch_size,
        "epochs": epochs,
        "patience": 8,
    }


RECIPES: dict[str, Callable[..., dict[str, Any]]] = {"tabm": tabm, "realmlp": realmlp, "mlp": mlp}


def make(facts: Facts, name: str, **options: Any) -> dict[str, Any]:
    """The recipe of a name; ValueError names the nearest right name or option."""
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}{nn.nearest(name, RECIPES)}")
    known = list(signature(RECIPES[name]).parameters)[1:]
    for option in options:
        if option not in known:
            raise ValueError(f"the recipe {name} has no {option!r}{nn.nearest(option, known)}")
    return RECIPES[name](facts, **options)


def with_loss(settings: dict[str, Any], loss: nn.Loss) -> dict[str, Any]:
    """A recipe's settings with another loss; of an ensemble, for each member."""
    if isinstance(settings["loss"], nn.EachMember) and not isinstance(loss, nn.EachMember):
        loss = nn.EachMember(loss)
    return {**settings, "loss": loss}


def _inputs(facts: Facts, embedding: nn.Layer | None) -> nn.Layer:
    """All columns side by side: numbers embedded, small categories one-hot, large ones embedded.

    Piecewise-linear numbers are made of places, and stand beside the scaled ones and their flags.
    """
    branches: list[nn.Layer] = []
    numbers = nn.Input("numbers")
    if isinstance(embedding, nn.PiecewiseLinear):
        if facts.numbers:
            branches.append(numbers)
        if facts.places:
            branches.append(nn.Sequential(nn.Input("places"), embedding))
    elif facts.numbers:
        branches.append(numbers if embedding is None else nn.Sequential(numbers, embedding))
    small = [i for i, size in enumerate(facts.sizes) if size <= ONE_HOT]
    if small:
        sizes = tuple(facts.sizes[i] for i in small)
        codes = nn.Input("categories")
        chosen = (codes,) if len(small) == len(facts.sizes) else (codes, nn.Select(tuple(small)))
        branches.append(nn.Sequential(*chosen, nn.OneHot(sizes, unseen=UNSEEN)))
    for i, size in enumerate(facts.sizes):
        if size > ONE_HOT:
            column = (nn.Input("categories"), nn.Select((i,)), nn.Flatten())
            table = nn.Embedding(size, 16, sparse=size > SPARSE)
            branches.append(nn.Sequential(*column, table, nn.Flatten()))
    return nn.Concatenate(*branches)


def _units(facts: Facts) -> tuple[nn.Layer, ...]:
    """What brings outputs of mean 0 and deviation 1 to the units of a label of values."""
    if facts.task != "values" or (facts.center, facts.scale) == (0, 1):
        return ()
    return (nn.Rescale(facts.scale, facts.center),)


def _loss(facts: Facts, label_smoothing: float = 0.0) -> nn.Loss:
    if facts.task == "binary":
        return nn.BinaryCrossEntropy()
    if facts.task == "classes":
        return nn.SoftmaxCrossEntropy(label_smoothing=label_smoothing)
    return (
        nn.MeanSquaredError() if facts.scale == 1 else nn.Scaled(nn.MeanSquaredError(), facts.scale)
    )
