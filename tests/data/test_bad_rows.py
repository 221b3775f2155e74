"""What cannot be trained on is told in one line, with the numbers and the cure."""

import random
from pathlib import Path

import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from dpnn import Trainer, nn
from dpnn.data.checks import DataError
from dpnn.data.ingest import ingest


@pytest.fixture(scope="module")
def df(spark_session):
    made = spark_session.range(40, numPartitions=2).selectExpr(
        "cast(id as double) as good",
        "if(id < 7, null, cast(id as double)) as age",
        "if(id < 1, null, id) as one",
        "if(id < 5, double('nan'), 1.0) as nan",
        "if(id < 5, 1e300, 1.0) as huge",
        "if(id < 20, array(1, 2), array(1, 2, 3)) as ragged",
        "if(id = 25, array(1), array(1, 2)) as rare",
        "if(id < 3, null, array(1, 2)) as hole",
        "if(id < 4, array(1, null), array(1, 2)) as gap",
        "array(array(1), if(id < 2, null, array(1))) as deep",
        "if(id < 7, null, cast(id as double)) as `m.x`",
        "array(1.0D, if(id < 2, double('nan'), 1.0D)) as `deep nan`",
        "cast(id % 10 as int) as label",
        "cast(id as double) / 2 as half",
        "cast(id - 3 as double) as weight",
        "cast(id as string) as name",
        "current_date() as day",
        "named_struct('a', 1) as pair",
    )
    vector = F.when(F.col("good") >= 6, array_to_vector(F.array("good", "good")))
    return made.withColumn("vector", vector)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (
            "age",
            r"^column 'age' has 7 nulls: drop or fill them, e.g. df.dropna\(subset=\['age'\]\)$",
        ),
        (["good", "age"], r"^column 'age' has 7 nulls: drop"),
        (["one", "age"], r"'one' has 1 null: .*; column 'age' has 7 nulls"),
        ("hole", r"column 'hole' has 3 nulls"),
        ("gap", r"column 'gap' has 4 nulls inside its arrays: .*F.coalesce"),
        ("deep", r"column 'deep' has 2 nulls inside its arrays: drop such rows$"),
        ("m.x", r"column 'm.x' has 7 nulls: .* df.dropna\(subset=\['`m.x`'\]\)$"),
        ("deep nan", r"column 'deep nan' has 2 values .* drop such rows, or replace them$"),
        ("vector", r"^column 'vector' has 6 nulls"),
        ("nan", r"column 'nan' has 5 values that are NaN or infinite .*abs\(`nan`\) < 3e38"),
        (["good", "nan"], r"^column 'nan' has 5 values"),
        (["good", "huge"], r"^column 'huge' has 5 values .*infinite \(as float32\)"),
        ("ragged", r"'ragged': rows have shape \([23],\) and shape \([23],\): all rows must be"),
        ("rare", r"'rare' has rows of 1 and of 2 values"),
        (["good", "rare"], r"'rare' has rows of 1 and of 2 values"),
    ],
)
def test_bad_values(df, inputs, told):
    with pytest.raises(DataError, match=told) as error:
        ingest(df, inputs, "label", num_shards=3)
    assert "\n" not in str(error.value)


def test_bad_rows_leave_no_files(df):
    with ingest(df, "good", "label", num_shards=3) as shards:
        roots = {Path(h.path).parent.parent for h in shards.handles}  # one an executor

        def folders():
            return {folder for root in roots for folder in root.glob("dpnn-*")}

        before = folders()
        for inputs in ("age", "nan", "ragged"):
            with pytest.raises(DataError):
                ingest(df, inputs, "label", num_shards=3)
        assert folders() == before
    assert not folders() & {Path(h.path).parent for h in shards.handles}


def test_bad_weights(df):
    with pytest.raises(DataError, match=r"'weight' has 3 negative weights, e.g. -3"):
        ingest(df, "good", "label", "weight")


def test_no_rows(df):
    with pytest.raises(DataError, match="no rows"):
        ingest(df.where("good < 0"), "good", "label", num_shards=2)


@pytest.mark.parametrize(
    ("inputs", "label", "weight", "told"),
    [
        ("god", "label", None, "no column 'god' in the data: did you mean 'good'?"),
        ("good", "lable", None, "did you mean 'label'?"),
        ("zzzzzz", "label", None, "there are 'good', 'age'.* and 11 more"),
        (["good", "name"], "label", None, "column 'name' is string, not numbers: .*StringIndexer"),
        ("good", "name", None, "column 'name' is string"),
        ("day", "label", None, "column 'day' is date, not numbers: .*F.unix_date"),
        ("pair", "label", None, "column 'pair' is struct<a:int>, not numbers: select"),
        ([], "label", None, "no columns are named for 'x'"),
        ("good", "label", "ragged", r"weight column 'ragged' is array<int>: it must be a number"),
    ],
)
def test_what_the_schema_tells_starts_no_job(df, inputs, label, weight, told, job_listing):
    sc = df.sparkSession.sparkContext
    sc.setJobGroup("schema errors", "none of these")
    try:
        with pytest.raises(ValueError, match=told):
            ingest(df, inputs, label, weight)
        assert not job_listing().getJobIdsForGroup("schema errors")
    finally:
        sc.setLocalProperty("spark.jobGroup.id", None)


def test_a_count_of_shards_below_one(df):
    with pytest.raises(ValueError, match="num_shards is 0"):
        ingest(df, "good", "label", num_shards=0)


def splits(shards):
    """The first input of all rows of each split."""
    found = {}
    for shard in shards.fetch().shards:
        for split, rows in shard.items():
            found.setdefault(split, []).extend(rows.x.reshape(rows.rows, -1)[:, 0].tolist())
    return {split: sorted(values) for split, values in found.items()}


@pytest.mark.parametrize(
    "held", ["good > 30", "string(good > 30)", "int(good > 30)", "nullif(good > 30, false)"]
)
def test_validation_indicator(df, held):
    frame = df.selectExpr("good", "label", f"{held} as held")
    with ingest(frame, "good", "label", num_shards=2, validation="held") as shards:
        found = splits(shards)
    assert found == {"train": list(range(31)), "validation": list(range(31, 40))}


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ("if(good > 30, 'val', 'train')", r"'held' has 40 values that are neither .* e.g. 'train'"),
        ("cast(good as int)", r"'held' has 38 values that are neither true nor false, e.g. '10'"),
    ],
)
def test_an_indicator_that_is_neither_true_nor_false(df, held, told):
    frame = df.selectExpr("good", f"{held} as held")
    with pytest.raises(DataError, match=told) as error:
        ingest(frame, "good", num_shards=2, validation="held")
    assert "\n" not in str(error.value)


def test_an_indicator_that_leaves_a_split_empty(df):
    for held, told in (("true", "^training: the indicator 'held'"), ("false", "^validation: the")):
        with pytest.raises(DataError, match=told):
            ingest(df.selectExpr("good", f"{held} as held"), "good", validation="held")


def test_a_partition_column_as_indicator(df, tmp_path):
    frame = df.selectExpr("good", "good > 30 as held")
    frame.write.partitionBy("held").parquet(str(tmp_path / "p"))
    again = df.sparkSession.read.parquet(str(tmp_path / "p"))
    with ingest(again, "good", num_shards=2, validation="held") as shards:
        assert [len(rows) for rows in splits(shards).values()] == [31, 9]


@pytest.mark.classic("one of its sources is an RDD")
def test_an_indicator_that_changes_its_mind_loses_and_doubles_no_row(df):
    """Each row is asked once, where it is: it lands in one split, whatever the next answer."""
    toss = F.udf(lambda: random.random() < 0.5, "boolean")
    rows = df.sparkSession.range(400, numPartitions=3)
    expressions = (toss(), toss.asNondeterministic()(), F.rand() < 0.5)
    random_rdd = rows.rdd.map(lambda row: (row.id, random.random() < 0.5)).toDF(["id", "held"])
    for frame in (*(rows.withColumn("held", e) for e in expressions), random_rdd):
        with ingest(frame, "id", num_shards=3, validation="held") as shards:
            found = splits(shards)
        assert sorted(found["train"] + found["validation"]) == list(range(400))
        assert 100 < len(found["validation"]) < 300


def test_errors_say_which_data_they_are_of(df):
    trainer = Trainer(nn.Dense(10), nn.SoftmaxCrossEntropy(), epochs=1, progress=False)
    good = df.select("good", "label")
    columns = {"inputs": ["good"], "label": "label"}
    for training, validation, told in (
        (good, good.where("good < 0"), "^validation: the data has no rows"),
        (good.where("good < 0"), good, "^training: the data has no rows"),
        (good, df.selectExpr("age as good", "label"), "^validation: column 'good' has 7 nulls"),
    ):
        with pytest.raises(DataError, match=told):
            trainer.fit(training, validation=validation, **columns)


def test_an_indicator_of_another_type(df):
    with pytest.raises(ValueError, match="indicator 'good' is double, expected boolean"):
        ingest(df, "one", validation="good")
