"""Histories and results in a few lines."""

from dpnn.training.history import History
from dpnn.training.tables import number


def history(epochs, kept=None):
    made = History()
    for epoch in range(1, epochs + 1):
        row = {"epoch": epoch, "loss": 1 / epoch, "val_loss": 2 / epoch, "seconds": 0.5}
        made.append({**row, "costs": {"send": 1.0}, "engine": "local"})
    made.kept_epoch = kept
    return made


def test_a_history_is_a_short_table_without_its_ledger():
    text = repr(history(2))
    assert text.splitlines() == [
        "epoch    loss  val_loss  seconds",
        "    1  1.0000    2.0000   0.5000",
        "    2  0.5000    1.0000   0.5000",
    ]
    assert repr(History()) == "no epochs yet"


def test_a_long_one_leaves_out_its_middle_but_the_kept_epoch():
    lines = repr(history(1000, kept=500)).splitlines()
    assert len(lines) < 20
    assert [line.split()[0] for line in lines[1:8]] == ["1", "2", "3", "…", "*500", "…", "992"]
    assert lines[-1] == "* the kept epoch"
    assert max(map(len, lines)) <= 80


def test_html_has_the_same_cells_and_the_kept_epoch_in_bold():
    html = history(2, kept=2)._repr_html_()
    assert html.count("<tr") == 3
    assert '<tr style="font-weight:bold"><td>*2</td><td>0.5000</td>' in html


def test_numbers():
    found = [number(v) for v in (0.5, 0.0, 12.0, 1e-5, 123456.0, float("nan"), None, 7)]
    assert found == ["0.5000", "0.0000", "12.0000", "1.00e-05", "1.23e+05", "-", "", "7"]
    assert [number(v, 3) for v in (0.5, 0.05, 0.005)] == ["0.500", "0.050", "5.0e-03"]


def test_the_figures_of_an_epoch():
    made = history(3)
    assert made.figures(2)["loss"] == 0.5
    assert made.figures(4) == {}
    assert History().figures(0) == {}
