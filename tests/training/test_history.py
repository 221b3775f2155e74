"""History: rows in step, the ledger, one sentence of advice, a picture."""

import json

import pytest

from dpnn.engines.protocol import Costs
from dpnn.training.history import History, advice, enough, ledger


def test_rows_stay_in_step():
    history = History()
    history.append({"epoch": 1, "loss": 2.0})
    history.append({"epoch": 2, "loss": 1.0, "val_loss": 1.5})
    assert history == {"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [None, 1.5]}
    assert json.loads(history.to_json())["val_loss"] == [None, 1.5]


def costs(**seconds):
    made = Costs(steps=10, bytes=1000, seconds={0: 0.1, 3: 0.4}, hosts={0: "a", 3: "b"})
    for name, value in seconds.items():
        setattr(made, name, value)
    return made


def test_ledger_adds_up_to_the_wall():
    row = ledger(costs(send=0.01, compute=0.2, wait=0.05, sum=0.02), update=0.03, wall=0.35)
    parts = ("send", "compute", "wait", "sum", "update", "rest")
    assert sum(row[part] for part in parts) == pytest.approx(35.0)  # ms a step
    assert (row["bytes"], row["exchanges"]) == (100, 10)
    assert (row["slowest_shard"], row["slowest_host"]) == (3, "b")


def test_advice_where_exchange_or_waiting_outweighs():
    busy = ledger(costs(compute=1.0), update=0.1, wall=1.2)
    assert advice(busy) is None
    chatty = ledger(costs(compute=0.1, send=0.1), update=0.0, wall=1.0)
    said = "exchange is 90 % of a step: a larger batch or local_steps=81 would use the machines"
    assert advice(chatty).startswith(said)
    chatty = ledger(costs(compute=0.1, send=0.1), update=0.0, wall=1.0, local_steps=4)
    assert advice(chatty) == "exchange is 90 % of a round: local_steps=324 would make it 10 %"
    lame = ledger(costs(compute=0.5, wait=0.5), update=0.0, wall=1.0)
    assert advice(lame).startswith("waiting for shard 3 is 50 % of a step")


def test_enough_steps_make_the_exchange_a_tenth():
    assert enough(exchange=0.004, arithmetic=0.004) == 9
    assert enough(exchange=0.0, arithmetic=0.004) == 1
    assert enough(exchange=0.06, arithmetic=0.004) == 135


def test_plot_draws_every_metric(tmp_path):
    pytest.importorskip("matplotlib")
    history = History()
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch, "loss": 1 / epoch, "accuracy": 0.5, "val_loss": 2 / epoch})
    figure = history.plot()
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook asks for
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 1]
    history.plot(str(tmp_path / "loss.png"))
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_json_of_what_is_not_finite_and_in_order():
    history = History()
    history.append({"epoch": 1, "loss": 0.5, "r2": float("nan"), "costs": {"sum": float("inf")}})
    assert list(history) == ["epoch", "loss", "r2", "costs"]
    expected = {"epoch": [1], "loss": [0.5], "r2": [None], "costs": [{"sum": None}]}
    assert json.loads(history.to_json()) == expected
