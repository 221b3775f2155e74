"""Values that wait in files between the two halves of an ingest, beside values that travel."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dpnn.data import ingest as ingesting
from dpnn.data.arrow import Column, Part, Spec
from dpnn.data.files import MissingShard
from dpnn.data.ingest import ingest
from dpnn.data.ingest_tasks import split, write
from dpnn.data.pieces import PieceReader, PieceWriter, delete_pieces
from dpnn.data.splits import ByContent

SPEC = Spec((Part("x", (Column(("a",)),)), Part("y", (Column(("y",)),))))
N = 100


def batches():
    rng = np.random.default_rng(0)
    for n in (N, 0, 7):
        a = pa.array(rng.standard_normal(3 * n).astype(np.float32))
        a = pa.FixedSizeListArray.from_arrays(a, 3).cast(pa.list_(pa.float32()))
        yield pa.record_batch({"a": a, "y": np.arange(n, dtype=np.int16)})


def written(pieces):
    made = list(split(batches(), SPEC, ByContent(0.3), 2, pieces=pieces))
    if pieces is not None:
        pieces.close()
        assert sum(column.nbytes for batch in made for column in batch.columns[2:]) < 200
    facts = []
    for shard in range(2):
        some = [batch.filter(pa.array(batch.column(0).to_numpy() == shard)) for batch in made]
        facts.append(json.loads(next(write(some, SPEC, "run", shard))))
    return facts


def test_the_same_shards(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{tmp_path / 'a'},{tmp_path / 'b'}")
    there, here = written(None), written(PieceWriter("run"))
    for fact in (*there, *here):
        del fact["handle"]["path"]
    assert here == there
    assert sum(piece["rows"] for fact in here for piece in fact["handle"]["pieces"].values()) == 107
    (path,) = tmp_path.glob("*/dpnn-run/pieces/*")
    for _ in range(2):
        delete_pieces("run", [tmp_path / "a", tmp_path / "b"])
    assert not path.parent.exists()


def test_pieces_that_are_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    writer = PieceWriter("run")
    column = np.arange(10, dtype=np.int32)
    bounds = np.array([0, 4, 10])
    first, second = writer.append([(column, 4 * bounds), (column.astype("u1"), bounds)])
    writer.close()
    reader = PieceReader()
    assert [np.frombuffer(data, "i4").tolist() for data in reader.read(first)[:1]] == [[0, 1, 2, 3]]
    assert list(reader.read(second)[1]) == [4, 5, 6, 7, 8, 9]
    reader.close()
    path = Path(first["path"])
    path.write_bytes(path.read_bytes()[:-1])
    reader = PieceReader()
    assert len(reader.read(first)) == 2
    with pytest.raises(MissingShard, match="is cut short"):
        reader.read(second)
    reader.close()
    path.unlink()
    with pytest.raises(MissingShard, match="pieces of shards are gone"):
        PieceReader().read(first)


@pytest.mark.classic("pieces lie on a disk that the driver knows of")
def test_where_not_all_tasks_share_a_disk_they_travel(spark_session, monkeypatch):
    """The same shards; and where they share one, the pieces go with the ingest."""
    frame = spark_session.range(500).selectExpr("cast(id as float) / 7 as a", "id % 2 as y")
    near = ingest(frame, "a", "y", num_shards=3)
    (home,) = {Path(handle.path).parent for handle in near.handles}
    assert len(list(home.iterdir())) == 3
    real = ingesting._lay_down
    monkeypatch.setattr(ingesting, "_lay_down", lambda *given: real(*given[:-1], False))
    with near, ingest(frame, "a", "y", num_shards=3) as far:
        assert far.facts == near.facts
        assert [handle.rows for handle in far.handles] == [handle.rows for handle in near.handles]
        near.kept.forget([0])
        near.kept.facts()
        assert (home / "pieces").exists()
    assert not home.exists()
