"""Recipes: built from facts, trained on small tables of every kind of column."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

import dpnn
from dpnn import Trainer, nn, recipes

ROWS = 1200
EDGES = np.linspace(-3, 3, 9)


def table(task: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A bump in one number, a category with its own level, and noise that says nothing."""
    rng = np.random.default_rng(3)
    numbers = rng.standard_normal((ROWS, 3)).astype(np.float32)
    places = np.stack([np.interp(x, EDGES, np.arange(9)) for x in numbers.T], 1)
    categories = np.stack([rng.integers(2, 5, ROWS), rng.integers(0, 90, ROWS)], 1)
    signal = np.cos(2 * numbers[:, 0]) + (categories[:, 0] == 3) + 0.5 * numbers[:, 1]
    x = {"numbers": numbers, "places": places.astype(np.float32), "categories": categories}
    if task == "values":
        return x, 50 + 20 * signal
    return x, np.digitize(signal, [0.4] if task == "binary" else [0.0, 0.8])


def facts(task: str, y: np.ndarray) -> recipes.Facts:
    values = {"center": float(y.mean()), "scale": float(y.std())} if task == "values" else {}
    outputs = 3 if task == "classes" else 1
    return recipes.Facts(ROWS, 3, 3, 8, (5, 90), task, outputs, **values)  # type: ignore[arg-type]


def fitted(settings: dict[str, Any], x: Any, y: np.ndarray) -> Any:
    cut = ROWS * 3 // 4
    train = ({k: v[:cut] for k, v in x.items()}, y[:cut])
    held = ({k: v[cut:] for k, v in x.items()}, y[cut:])
    trainer = Trainer(**settings, engine="local", progress=False)
    return trainer.fit(train, validation=held, num_shards=2)


@pytest.mark.parametrize("task", ["values", "binary", "classes"])
@pytest.mark.parametrize("recipe", ["tabm", "realmlp", "realmlp-small"])
def test_a_recipe_learns_what_no_line_does(recipe: str, task: str) -> None:
    x, y = table(task)
    if recipe == "tabm":
        settings = recipes.tabm(facts(task, y), members=4, width=32, epochs=30, dropout=0.0)
        settings["optimizer"] = nn.AdamW(0.01)
    else:
        settings = recipes.realmlp(facts(task, y), recipe == "realmlp-small", width=32, epochs=20)
    settings["batch_size"] = 64
    result = fitted(settings, x, y)
    if task == "values":
        assert min(result.history["val_rmse"]) < 0.5 * y.std()
        assert result.model.predict(x).mean() == pytest.approx(50 + 20 * 0.47, abs=3)
    else:
        assert max(result.history["val_accuracy"]) > (0.88 if task == "binary" else 0.8)
    assert nn.from_spec(json.loads(json.dumps(nn.to_spec(settings["model"])))) == settings["model"]


def test_the_default_is_what_it_says() -> None:
    known = recipes.Facts(rows=30_000, numbers=2, places=2, bins=48, sizes=(4, 9), task="binary")
    settings = recipes.tabm(known, members=2, width=8)
    branches = nn.Concatenate(
        nn.Input("numbers"),
        nn.Sequential(nn.Input("places"), nn.PiecewiseLinear(48, 16)),
        nn.Sequential(nn.Input("categories"), nn.OneHot((4, 9), unseen=1)),
    )
    hidden = (nn.Dense(8), nn.ReLU(), nn.Dropout(0.1))
    heads = (nn.MemberDense(1), nn.MeanOfMembers("binary"))
    assert settings["model"] == nn.Sequential(branches, nn.Members(2), *hidden, *hidden, *heads)
    assert settings["loss"] == nn.EachMember(nn.BinaryCrossEntropy())
    assert settings["batch_size"] == 512


def test_smoothed_labels_of_two_classes_are_those_of_softmax() -> None:
    x, y = table("binary")
    settings = recipes.realmlp(facts("binary", y), width=32, epochs=10, label_smoothing=0.5)
    assert settings["loss"] == nn.SoftmaxCrossEntropy(label_smoothing=0.5)
    settings["batch_size"] = 64
    result = fitted(settings, x, y)
    assert max(result.history["val_accuracy"]) > 0.7
    sure = result.model.predict_probability(x).max(axis=1)
    assert np.quantile(sure, 0.9) < 0.9  # the loss is least at 0.75


@pytest.mark.parametrize("units", [1e-6, 1e9])
def test_the_units_of_a_label_do_not_matter(units: float) -> None:
    x, y = table("values")
    losses = []
    for factor in (1.0, units):
        known = facts("values", factor * y)
        settings = recipes.tabm(known, members=2, width=16, epochs=2)
        losses.append(fitted(settings, x, factor * y).history["val_loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)  # rows are in another order


def test_wide_tables_get_fewer_features_a_column_and_the_widest_none() -> None:
    def of(columns: int) -> Any:
        return recipes.tabm(recipes.Facts(1000, columns, columns, 48))["model"].layers[0].layers

    assert [of(n)[1].layers[1].units for n in (10, 100, 256)] == [16, 10, 4]
    assert of(1000) == (nn.Input("numbers"),)


def test_facts_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="without columns"):
        recipes.Facts(10)
    with pytest.raises(ValueError, match="1 class"):
        recipes.Facts(10, 2, task="classes")


def frame(label: str) -> Any:
    """Raw columns: a number that is nearly always 0 and decides the label where it is not."""
    rng = np.random.default_rng(5)
    gain = np.where(rng.random(800) < 0.8, 0.0, rng.integers(1, 40, 800) * 10.0)
    job = rng.choice(["a", "b", None], 800)
    rich = np.isin(gain % 40, [10, 20]) | (job == "b")
    labels = {"text": np.where(rich, ">50K", "<=50K"), "number": 3000 + 1000 * rich, "class": rich}
    noise = rng.standard_normal(800)  # so that no two rows are alike and fall into one split
    return pd.DataFrame({"gain": gain, "noise": noise, "job": job, "label": labels[label]})


@pytest.mark.parametrize(
    ("label", "task", "found"),
    [("text", None, "binary"), ("number", None, "values"), ("class", "binary", "binary")],
)
def test_from_raw_columns_to_a_model_in_three_lines(label: str, task: Any, found: str) -> None:
    columns = dpnn.columns(numeric=["gain", "noise"], categorical=["job"])
    table = frame(label)
    with dpnn.Dataset(table, columns, "label", validation=0.25, num_shards=2) as data:
        known = recipes.Facts.of(data, task)
        settings = recipes.tabm(known, members=4, width=32, dropout=0.0, epochs=60)
        settings |= {"optimizer": nn.Adam(0.01), "batch_size": 64}
        result = Trainer(**settings, engine="local", progress=False).fit(data)
    assert (known.numbers, known.places, known.sizes, known.task) == (2, 2, (4,), found)
    assert known.rows == data.rows["train"] < 700
    if found == "values":
        assert known.center == pytest.approx(table["label"].mean(), rel=0.02)
        assert min(result.history["val_rmse"]) < 0.3 * table["label"].std()
    else:
        assert (known.center, known.scale) == (0, 1)
        assert max(result.history["val_accuracy"]) > 0.95


def test_a_dataset_without_raw_columns_is_told_what_it_lacks() -> None:
    x, y = np.zeros((10, 2), np.float32), np.zeros(10)
    with (
        dpnn.Dataset((x, y), num_shards=1) as data,
        pytest.raises(ValueError, match=r"dpnn\.columns"),
    ):
        recipes.Facts.of(data)


def test_a_plain_network() -> None:
    facts = recipes.Facts(1000, numbers=3, places=3, sizes=(5, 90), task="classes", outputs=3)
    settings = recipes.mlp(facts, hidden=(16, 8))
    shape = {"numbers": (3,), "places": (3,), "categories": (2,)}
    network = settings["model"].build(shape)
    assert network.output_shape == (3,)
    units = [layer.units for layer in settings["model"].layers if isinstance(layer, nn.Dense)]
    assert units == [16, 8, 3]


@pytest.mark.parametrize(("codes", "sparse"), [(100_000, False), (100_001, True)])
def test_columns_of_very_many_codes_are_sparse_tables(codes, sparse):
    model = recipes.mlp(recipes.Facts(rows=100, sizes=(codes,)))["model"]
    assert nn.Embedding(codes, 16, sparse=sparse) in model.layers[0].layers[0].layers
