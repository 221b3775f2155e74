"""Permutation importance: the right columns, the right figures, whatever the partitions."""

import numpy as np
import pyarrow as pa
import pytest

import dpnn
from dpnn import Trainer, nn
from dpnn.models.importance import dealt

ROWS = 800
RNG = np.random.default_rng(1)
P, Q, N = RNG.normal(size=(3, ROWS))
JOB = RNG.choice(["a", "b", "c"], ROWS)
VALUE = 3 * P + 2.0 * (JOB == "b") + 0.5 * Q
TABLE = pa.table(
    {
        "p": P,
        "q": pa.array(Q, mask=RNG.random(ROWS) < 0.1),
        "noise": N,
        "job": JOB,
        "value": VALUE,
        "word": np.where(VALUE > 0.5, "yes", "no"),
        "few": pa.array(np.stack([P, N, Q], axis=1).tolist()),
    }
)
INPUTS = dpnn.columns(["p", "q", "noise"], ["job"])


@pytest.fixture(scope="module")
def frame(spark_session):
    return spark_session.createDataFrame(TABLE)


def fitted(inputs, label, model, loss):
    trainer = Trainer(model, loss, nn.Adam(0.02), epochs=20, batch_size=64, engine="local")
    return trainer.fit(TABLE, inputs, label, num_shards=1).model


@pytest.fixture(scope="module")
def classifier():
    both = nn.Concatenate(
        nn.Input("numbers"), nn.Sequential(nn.Input("categories"), nn.OneHot((5,)))
    )
    return fitted(INPUTS, "word", nn.Sequential(both, nn.Dense(2)), nn.SoftmaxCrossEntropy())


def test_raw_columns_by_what_they_say(frame, classifier):
    table = classifier.importance(frame, "auc", seed=4)
    assert list(table.columns) == ["column", "importance"]
    assert list(table["column"][:2]) == ["p", "job"]
    assert set(table["column"][2:]) == {"q", "noise"}
    assert table["importance"].is_monotonic_decreasing
    figures = dict(zip(table["column"], table["importance"], strict=True))
    assert figures["p"] > 0.15
    assert abs(figures["noise"]) < 0.01


def test_whatever_the_partitions(frame, classifier):
    few = classifier.importance(frame.coalesce(1).orderBy("noise"), seed=4)
    many = classifier.importance(frame.repartition(7), seed=4)
    assert few.equals(many)
    assert not few.equals(classifier.importance(frame, seed=5))


@pytest.mark.classic("accumulators are of a SparkContext")
def test_the_source_is_read_once(frame, classifier, spark_session):
    rows = spark_session.sparkContext.accumulator(0)

    def counted(batches):
        for batch in batches:
            rows.add(batch.num_rows)
            yield batch

    classifier.importance(frame.mapInArrow(counted, frame.schema))
    assert rows.value == ROWS


def test_a_vector_number_by_number(frame):
    model = fitted("few", "value", nn.Dense(1), nn.MeanSquaredError())
    table = model.importance(frame)
    assert list(table["column"]) == ["few[0]", "few[2]", "few[1]"]
    assert table["importance"][0] == pytest.approx(3 * 2**0.5 - 0.95, abs=0.6)


def test_what_it_refuses(frame, classifier):
    with pytest.raises(ValueError, match=r"no metric 'aucc'.*did you mean 'auc'"):
        classifier.importance(frame, "aucc")
    with pytest.raises(TypeError, match="importance takes a Spark DataFrame, got Table"):
        classifier.importance(TABLE)


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_rows_are_dealt_and_none_to_itself(count):
    order = RNG.permutation(count)
    donors = dealt(order, 3, 1)
    assert sorted(donors) == sorted(order)
    assert count == 1 or not (donors == order).any()


def test_the_best_threshold_is_that_of_the_best_metric(frame, classifier):
    for data in (frame, TABLE):
        limit = classifier.best_threshold(data, "accuracy")
        p = classifier.predict_probability(TABLE)[:, 1]
        truth = np.array(TABLE["word"]) == "yes"
        best = max(((p >= t) == truth).mean() for t in np.unique(p))
        assert ((p >= limit) == truth).mean() == pytest.approx(best, abs=2 / ROWS)
