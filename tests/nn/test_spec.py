"""Specs of whole models, and errors that name the nearest right name."""

import json

import numpy as np
import pytest

from dpnn import nn
from tests.nn.cases import WIDE_AND_DEEP


def test_defaults_are_left_out() -> None:
    assert nn.to_spec(nn.Dense(3)) == {"type": "Dense", "units": 3}
    assert nn.to_spec(nn.Sequential(nn.ReLU())) == {
        "type": "Sequential",
        "layers": [{"type": "ReLU"}],
    }


def test_a_model_keeps_its_parameters_names() -> None:
    shape = {"carrier": (), "origin": (2,), "distance": (2,)}
    again = nn.from_spec(nn.to_spec(WIDE_AND_DEEP))
    names = [list(m.build(shape).parameters) for m in (WIDE_AND_DEEP, again)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "Dens", "units": 3}, "unknown type 'Dens': did you mean 'Dense'"),
        ({"type": "Dense", "unit": 3}, "Dense has no 'unit': did you mean 'units'"),
        ({"type": "GRUU", "units": 3}, "did you mean 'GRU'"),
        ({"type": "Dense"}, "Dense: .*units"),
        ({"type": "os.system", "units": 3}, "unknown type 'os.system'"),
        ({"units": 3}, "unknown type 'None'"),
        ({"type": 3}, "unknown type '3'"),
        ({"type": "Elementwise"}, "unknown type 'Elementwise'"),
        ({"type": "Atention", "heads": 2}, "did you mean 'MultiHeadAttention'"),
    ],
)
def test_errors(spec: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nn.from_spec(spec)


def test_numpys_numbers_and_lists_become_plain() -> None:
    model = nn.Sequential(nn.Dense(np.int64(3)), nn.Conv2D(2, [3, np.int32(2)]))
    loss = nn.SoftmaxCrossEntropy(class_weights=np.array([1.0, 2.0], np.float32))
    for thing in (model, loss):
        assert nn.from_spec(json.loads(json.dumps(nn.to_spec(thing)))) == thing
    assert model.layers[1].kernel_size == (3, 2)


def test_layers_are_frozen_and_compare_by_value() -> None:
    assert nn.Dense(3) == nn.Dense(3) != nn.Dense(4)
    with pytest.raises(AttributeError):
        nn.Dense(3).units = 4


def test_containers_take_layers_alone() -> None:
    with pytest.raises(TypeError, match="takes layers"):
        nn.Sequential([nn.Dense(3)])


def test_summary() -> None:
    model = nn.Sequential(nn.Conv2D(8, 3), nn.ReLU(), nn.Flatten(), nn.Dense(10))
    lines = [line.split() for line in model.summary((6, 6, 2)).splitlines()]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["Conv2D[0]"] == ["(4,", "4,", "8)", "152", "2,304"]
    assert rows["Dense[3]"] == ["(10,)", "1,290", "1,280"]
    assert rows["total"] == ["(10,)", "1,442", "3,584"]
    assert "Input[1]" in nn.Sequential(nn.Sequential(), nn.Input("a")).summary({"a": (2,)})
