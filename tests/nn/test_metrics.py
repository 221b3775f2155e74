"""Metrics: against scikit-learn, weighted and not; sums that add up; the bins' error as stated."""

import warnings

import numpy as np
import pytest

from dpnn import nn
from dpnn.nn.more import metrics, statistics
from dpnn.nn.more.metrics import METRICS, Measures
from dpnn.nn.more.tail import Tail

RNG = np.random.default_rng(5)
BINARY, SOFTMAX = nn.BinaryCrossEntropy(), nn.SoftmaxCrossEntropy()


def measured(loss, z, y, w=None, cuts=1, names=None):
    """All figures of some outputs, added up over parts of the rows; and the tail."""
    measures = Measures.of_rows(loss, z.shape[1:], names, many=True)
    network = nn.Network(nn.Layer(), z.shape[1:])
    total = measures.tail()
    for rows in np.array_split(np.arange(len(z)), cuts):
        tail = measures.tail()
        measures.add(tail, network, z[rows], y[rows], None if w is None else w[rows])
        total.numbers[:] += tail.numbers
    return measures.figures(total), total


def labels(n, classes, share=0.3):
    y = RNG.integers(0, classes, n) if classes > 2 else RNG.random(n) < share
    return y.astype(np.int32)


def logits(y, classes):
    """As of a model that has learned something: the right class stands out."""
    if classes == 1:
        return (RNG.standard_normal(len(y)) * 2 + 2 * y - 3)[:, None].astype(np.float32)
    z = RNG.standard_normal((len(y), classes)) * 2
    z[np.arange(len(y)), y] += 1.5
    return z.astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "width"), [(BINARY, 1), (SOFTMAX, 2), (SOFTMAX, 5)])
def test_classes_as_scikit_learn(loss, width, weighted):
    theirs = pytest.importorskip("sklearn.metrics")
    classes = max(width, 2)
    y = labels(4000, classes)
    z = logits(y, width)
    w = RNG.random(4000).astype(np.float32) if weighted else None
    found, _ = measured(loss, z, y, w, cuts=7)
    p = loss.prediction(z.astype(np.float64))
    p = np.hstack([1 - p, p]) if width == 1 else p
    guess = p.argmax(axis=1)
    more = {"sample_weight": w}
    average = {"average": "binary" if classes == 2 else "macro", **more}
    expected = {
        "accuracy": theirs.accuracy_score(y, guess, **more),
        "log_loss": theirs.log_loss(y, p, **more),
        "f1": theirs.f1_score(y, guess, **average),
        "precision": theirs.precision_score(y, guess, **average),
        "recall": theirs.recall_score(y, guess, **average),
        "precision_by_class": theirs.precision_score(y, guess, average=None, **more).tolist(),
        "recall_by_class": theirs.recall_score(y, guess, average=None, **more).tolist(),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-9), name
    np.testing.assert_allclose(
        found["confusion"], theirs.confusion_matrix(y, guess, **more), rtol=1e-9
    )
    assert ("auc" in found) == (classes == 2)
    if classes == 2:
        assert found["auc"] == pytest.approx(theirs.roc_auc_score(y, p[:, 1], **more), abs=1e-4)
        precision = theirs.average_precision_score(y, p[:, 1], **more)
        assert found["average_precision"] == pytest.approx(precision, abs=3e-4)


@pytest.mark.parametrize("share", [0.01, 0.5])
@pytest.mark.parametrize("scale", [0.01, 1, 30])
def test_error_of_bins_is_half_the_pairs_that_share_one(scale, share):
    theirs = pytest.importorskip("sklearn.metrics")
    y = labels(20000, 2, share)
    z = scale * logits(y, 1)
    figures, tail = measured(BINARY, z, y, names=["auc", "average_precision"])
    no, yes = tail.sums.reshape(2, -1)
    assert np.array_equal(tail.sums, np.floor(tail.sums))  # counts: exact in whatever order
    bound = float(no @ yes) / 2 / (no.sum() * yes.sum())
    exact = theirs.roc_auc_score(y, z[:, 0])
    assert abs(figures["auc"] - exact) <= bound + 1e-12
    assert bound < (4e-3 if scale < 1 else 4e-4)
    assert abs(figures["auc"] - exact) < 2e-4
    binned = np.repeat([0, 1], statistics.BINS), np.tile(np.arange(statistics.BINS), 2)
    same = theirs.average_precision_score(*binned, sample_weight=tail.sums)
    assert figures["average_precision"] == pytest.approx(same, rel=1e-9)


def test_scores_far_out_are_not_lost():
    z = np.array([[-1e30], [-50.0], [-30.0], [30.0], [50.0], [1e30]], np.float32)
    y = np.array([0, 0, 0, 1, 1, 1])
    assert measured(BINARY, z, y)[0]["auc"] == 1
    assert measured(BINARY, z, 1 - y)[0]["auc"] == 0


def test_one_class_alone_has_no_auc():
    z = np.zeros((4, 1), np.float32)
    found, _ = measured(BINARY, z, np.zeros(4, np.int32))
    assert np.isnan(found["auc"])
    assert np.isnan(found["average_precision"])
    assert found["f1"] == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_values_as_scikit_learn(weighted):
    theirs = pytest.importorskip("sklearn.metrics")
    y = RNG.gamma(2.0, 3.0, (500, 2)).astype(np.float32)
    z = (y + RNG.standard_normal((500, 2))).astype(np.float32)
    w = RNG.random(500).astype(np.float32) if weighted else None
    found, _ = measured(nn.Quantile(q=0.8), z, y, w, cuts=3)
    more = {"sample_weight": w}
    assert found["mae"] == pytest.approx(theirs.mean_absolute_error(y, z, **more), rel=1e-6)
    squared = theirs.mean_squared_error(y, z, **more)
    assert found["rmse"] == pytest.approx(np.sqrt(squared), rel=1e-6)
    assert found["r2"] == pytest.approx(theirs.r2_score(y, z, **more), rel=1e-5)
    pinball = theirs.mean_pinball_loss(y, z, alpha=0.8, **more)
    assert found["quantile_loss"] == pytest.approx(pinball, rel=1e-6)
    assert found["loss"] == pytest.approx(pinball, rel=1e-5)


def test_counts_are_judged_as_counts():
    x = RNG.random((3000, 1)) * 4
    y = RNG.poisson(np.exp(x)).astype(np.float32)
    found, _ = measured(nn.Poisson(), x.astype(np.float32), y)
    expected = 1 - ((np.exp(x) - y) ** 2).mean() / y.var()
    assert found["r2"] == pytest.approx(expected, rel=1e-5)
    assert expected > 0.8


def test_class_weights_show_in_the_loss_alone():
    y = labels(1000, 2, 0.01)
    z = np.zeros((1000, 2), np.float32)
    z[:, 0] = 1
    heavy, _ = measured(nn.SoftmaxCrossEntropy(class_weights=(1.0, 99.0)), z, y)
    plain, _ = measured(SOFTMAX, z, y)
    assert heavy["accuracy"] == 1 - y.mean()
    assert heavy["loss"] > plain["loss"]
    assert {k: v for k, v in heavy.items() if k != "loss"} == {
        k: v for k, v in plain.items() if k != "loss"
    }


@pytest.mark.parametrize("metric", ["accuracy", "f1", "balanced_accuracy"])
def test_best_threshold(metric):
    theirs = pytest.importorskip("sklearn.metrics")
    y = labels(3000, 2, 0.1)
    z = logits(y, 1)
    measures = Measures.of_rows(BINARY, (1,))
    _, tail = measured(BINARY, z, y, names=[m.name for m in measures.metrics])
    found = measures.best_threshold(tail, metric)
    judge = getattr(theirs, {"f1": "f1_score", "accuracy": "accuracy_score"}.get(metric, ""), None)
    judge = judge or theirs.balanced_accuracy_score
    p = BINARY.prediction(z.astype(np.float64))[:, 0]
    best = max(judge(y, p >= t) for t in np.quantile(p, np.linspace(0, 1, 500)))
    assert judge(y, p >= found) >= best - 2e-3


def test_no_best_threshold_without_two_classes():
    measures = Measures.of_rows(SOFTMAX, (3,))
    with pytest.raises(ValueError, match="two classes have one of accuracy, f1, balanced"):
        measures.best_threshold(measures.tail(), "f1")


def test_thresholds_are_the_edges_of_bins():
    p = statistics.lower_edge(np.arange(statistics.BINS))
    assert p[0] == 0
    assert p[statistics.BINS // 2] == 0.5
    assert (np.diff(p) >= 0).all()


def test_a_name_that_there_is_not():
    with pytest.raises(ValueError, match=r"no metric 'acuracy' for .*: did you mean 'accuracy'"):
        Measures.of_rows(BINARY, (1,), ["acuracy"])
    with pytest.raises(ValueError, match="no metric 'auc' for SoftmaxCrossEntropy"):
        Measures.of_rows(SOFTMAX, (3,), ["auc"])


def test_steps_pay_for_little():
    assert Measures.of_steps(BINARY, (1,)).size == 1
    assert [m.name for m in Measures.of_steps(nn.Poisson(), (1,)).metrics] == ["mae", "rmse", "r2"]
    assert Measures.of_rows(BINARY, (1,), ["accuracy", "log_loss"]).size == 2


def test_each_knows_its_better_direction():
    assert {name: metrics.better(name) for name in ("loss", "val_auc", "val_rmse", "r2")} == {
        "loss": "lower",
        "val_auc": "higher",
        "val_rmse": "lower",
        "r2": "higher",
    }
    assert {m.better for m in METRICS} == {"higher", "lower", ""}


def test_weights_of_zero_say_whose():
    measures = Measures.of_steps(BINARY, (1,))
    with pytest.raises(ValueError, match="the validation rows' weights sum to 0: at least one"):
        measures.figures(measures.tail(), "validation")
    tail = Tail(np.array([0.0, 0, 3, 3, 1]))
    with pytest.raises(ValueError, match="no training row is of a class with a positive"):
        measures.figures(tail, "training")


def test_several_labels_a_row():
    y = labels(600, 2).reshape(200, 3)
    z = RNG.standard_normal((200, 3)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = measured(BINARY, z, y)
    assert found.keys() == {"loss", "accuracy", "log_loss"}
    assert found["log_loss"] == pytest.approx(found["loss"], rel=1e-5)


@pytest.mark.parametrize(("loss", "width"), [(BINARY, 1), (SOFTMAX, 2), (SOFTMAX, 5)])
def test_class_numbers_of_any_type_count_alike(loss, width):
    y = labels(500, max(width, 2))
    z = logits(y, width)
    expected, _ = measured(loss, z, y, None, cuts=3)
    for kind in (np.uint8, np.int64, np.float32, np.float64):
        found, _ = measured(loss, z, y.astype(kind), None, cuts=3)
        assert found == expected
