"""The axis of a picture: the first epoch does not squash the curves, nor is it hidden."""

import pytest

from dpnn.training.history import History
from dpnn.training.picture import limits, logarithmic, panels


def history(kept=None, **figures):
    made = History()
    for i, row in enumerate(zip(*figures.values(), strict=True)):
        made.append({"epoch": i + 1, **dict(zip(figures, row, strict=True)), "seconds": 1.0})
    made.kept_epoch = kept
    return made


FALLING = [500.0, 0.5, 0.45, 0.4, 0.38, 0.36, 0.35, 0.34, 0.33, 0.32]


def test_a_first_epoch_far_off_sets_no_axis():
    low, high = limits([FALLING], log=False)
    assert 0.28 < low < 0.32
    assert 0.5 < high < 0.55  # the second epoch is still to be seen
    assert limits([[2.0, 1.5, 1.0, 0.8]], log=False)[1] > 2  # nothing is cut off without need


def test_a_long_way_down_is_logarithmic():
    decades = [10.0**-i for i in range(6)]
    assert logarithmic([decades])
    low, high = limits([decades], log=True)
    assert 0 < low < 1e-5 < 1 < high
    assert not logarithmic([FALLING])  # the first epoch alone makes no logarithm
    assert not logarithmic([[1.0, -0.5, 0.9, 0.99]])


def test_axes_of_hardly_anything():
    nan = float("nan")
    assert limits([[nan, nan]], log=False) is None
    low, high = limits([[0.5]], log=False)
    assert low < 0.5 < high
    low, high = limits([[0.0, 0.0, 0.0]], log=False)
    assert low < 0 < high


def test_the_picture_marks_the_kept_epoch_and_says_where_it_began():
    pytest.importorskip("matplotlib")
    figure = history(3, loss=FALLING, val_loss=[2 * v for v in FALLING]).plot()
    (axes,) = figure.axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["kept: epoch 3\n0.9"]
    assert axes.get_title(loc="right") == "began at 500 and 1e+03"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["training", "validation"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7])
def test_any_number_of_metrics_and_epochs(count, tmp_path):
    pytest.importorskip("matplotlib")
    figures = {f"m{i}": [0.1 * i + 1] for i in range(count)}
    figure = history(1, **figures).plot(str(tmp_path / "a.svg"))
    assert len(figure.axes) == count
    assert (tmp_path / "a.svg").stat().st_size > 1000


def test_a_history_of_nothing_has_a_picture_of_nothing():
    pytest.importorskip("matplotlib")
    assert History().plot().axes == []


def test_panels_are_the_loss_and_metrics_of_either_set():
    made = history(loss=[1.0], val_loss=[1.0], val_auc=[0.5])
    made["costs"], made["engine"] = [{}], ["local"]
    assert panels(made) == ["loss", "auc"]
