"""What the job engine's tasks do, and the frames they speak, without Spark."""

import io
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dpnn import nn
from dpnn.data.files import ShardWriter
from dpnn.engines import job_tasks
from dpnn.engines.job_frames import FRAME, Frames, KeyedFrames, Part
from dpnn.engines.job_tasks import combine, compute, receive
from dpnn.engines.protocol import Kind, Plan, Sums
from dpnn.engines.sums import total
from dpnn.engines.worker import Program

SIZE = FRAME // 4 + 5  # one full frame and a short one


def leaf(shard, size=SIZE):
    flat = np.random.default_rng(shard).standard_normal(size).astype(np.float32)
    return Part((0, shard), Sums(flat, np.arange(3.0) + shard), [(shard, "here", 0.1, 0.2)])


def dumped(parts, frames=None):
    stream = io.BytesIO()
    (frames or Frames()).dump_stream(parts, stream)
    return stream.getvalue()


def records(data):
    """The byte records that Spark would see."""
    found = []
    while data:
        length = 4 + int.from_bytes(data[:4], "big")
        found.append(data[:length])
        data = data[length:]
    return found


def assert_same(part, expected):
    assert (part.node, part.reports, part.error) == (
        expected.node,
        expected.reports,
        expected.error,
    )
    assert np.array_equal(part.sums.flat, expected.sums.flat)
    assert np.array_equal(part.sums.tail, expected.sums.tail)


def test_frames_there_and_back():
    loaded = list(Frames().load_stream(io.BytesIO(dumped([leaf(0), leaf(1)]))))
    for part, expected in zip(loaded, [leaf(0), leaf(1)], strict=True):
        assert_same(part, expected)


def test_packed_frames_are_shorter_and_say_so():
    packed, whole = leaf(0), leaf(1)
    np.floor(50 * packed.sums.flat, out=packed.sums.flat)
    packed.packs = whole.packs = True
    data = dumped([packed, whole])
    assert len(data) < 4 * SIZE * 1.6
    first, second = Frames().load_stream(io.BytesIO(b"".join(records(data)[::-1])))
    assert_same(first, whole)
    assert_same(second, packed)
    assert first.packs
    assert first.bytes == 4 * SIZE
    assert SIZE < second.bytes < 2.1 * SIZE


def test_frames_in_any_order():
    pieces = records(dumped([leaf(0), leaf(1)]))
    assert len(pieces) == 6
    loaded = list(Frames().load_stream(io.BytesIO(b"".join(pieces[::-1]))))
    assert [part.node for part in loaded] == [(0, 1), (0, 0)]
    assert_same(loaded[1], leaf(0))


def test_frames_into_given_memory():
    home = np.empty(SIZE, np.float32)
    (part,) = Frames(lambda node, size: home).load_stream(io.BytesIO(dumped([leaf(3)])))
    assert np.shares_memory(part.sums.flat, home)
    assert np.array_equal(home, leaf(3).sums.flat)


def test_frames_without_gradient_and_with_error():
    parts = [
        Part((0, 0), Sums(None, np.ones(3))),
        Part((0, 1), error=("ShardError", "a line", "a trace")),
    ]
    tail, error = Frames().load_stream(io.BytesIO(dumped(parts)))
    assert tail.sums.flat is None
    assert tail.sums.tail.tolist() == [1, 1, 1]
    assert error.sums is None
    assert error.error == ("ShardError", "a line", "a trace")


@pytest.mark.parametrize("cut", [1, -1])
def test_frames_cut_short(cut):
    pieces = records(dumped([leaf(0)]))
    data = b"".join(pieces[:-1]) if cut == 1 else b"".join(pieces)[:-1]
    with pytest.raises(EOFError, match="too early"):
        list(Frames().load_stream(io.BytesIO(data)))


def test_frames_leave_memory_behind():
    frames = pickle.loads(pickle.dumps(Frames(lambda node, size: None)))  # noqa: S301
    assert_same(next(frames.load_stream(io.BytesIO(dumped([leaf(0)])))), leaf(0))


@pytest.mark.parametrize(("node", "key"), [((0, 5), 2), ((1, 2), 2), ((2, 1), 2), ((0, 1), 0)])
def test_keys_are_places_at_a_level(node, key):
    part = Part(node, Sums(None, np.zeros(1)))
    first, second = records(dumped([part], KeyedFrames(1)))
    assert int.from_bytes(first[4:], "big") == key
    assert second == dumped([part])


@pytest.mark.parametrize("num_shards", [1, 3, 5, 8])
def test_combine_is_canonical(num_shards):
    expected = total([leaf(s, 7).sums for s in range(num_shards)])
    halves = [[], []]
    for s in range(num_shards):
        halves[s // 4].append(leaf(s, 7))
    nodes = [p for half in halves for p in combine(half[::-1], num_shards)]
    (part,) = combine(nodes, num_shards)
    assert np.array_equal(part.sums.flat, expected.flat)
    assert sorted(r[0] for r in part.reports) == list(range(num_shards))


def test_combine_passes_the_first_error_on():
    bad = [Part((0, s), error=("ShardError", f"shard {s}", "")) for s in (3, 2)]
    assert list(combine([leaf(0), *bad], 4)) == [bad[1]]


@pytest.mark.parametrize("size", [10, 50_000])
def test_receive(tmp_path, size):
    """A broadcast's file when it is a large bytearray's pickle, its value otherwise."""
    sent = np.random.default_rng(0).standard_normal(size).astype(np.float32)
    path = tmp_path / "broadcast"
    path.write_bytes(pickle.dumps(bytearray(sent), 5))
    out = np.empty_like(sent)
    large = SimpleNamespace(_path=str(path)) if size > 10 else None
    plain = SimpleNamespace(_path=str(path), value=bytearray(sent))
    for broadcast in filter(None, (large, plain, SimpleNamespace(value=bytes(sent)))):
        out[...] = 0
        receive(broadcast, out)
        assert np.array_equal(out, sent)


def test_receive_from_a_file_cut_short(tmp_path):
    path = tmp_path / "broadcast"
    path.write_bytes(pickle.dumps(bytearray(400_000), 5)[:-100_000])
    with pytest.raises(OSError, match="ends before its 400000 bytes"):
        receive(SimpleNamespace(_path=str(path)), np.empty(100_000, np.float32))


class Meddler(nn.Dense):
    """Writes to its weights."""

    def forward(self, p, x, ctx):
        p["W"][...] = 0
        return super().forward(p, x, ctx)


@pytest.fixture
def handle(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARK_LOCAL_DIRS", str(tmp_path))
    monkeypatch.setattr(job_tasks, "_seats", {})
    writer = ShardWriter("test", 0)
    x, y = np.ones((4, 2), np.float32), np.zeros(4, np.int32)
    writer.append("train", np.arange(4, dtype=np.uint64), {"x": x.reshape(-1), "y": y})
    made = writer.close()
    return replace(made, layouts={"train": (("x", "<f4", (2,)), ("y", "<i4", ()))})


def run(handle, layer, weights=None, version=1):
    program = Program(layer, (2,), nn.SoftmaxCrossEntropy(), id=repr(layer))
    plan = Plan(Kind.TRAIN, 1, 0, 1)
    flat = np.zeros(9, np.float32) if weights is None else weights
    handles = iter([handle])
    (part,) = compute(
        handles,
        program.id,
        SimpleNamespace(value=pickle.dumps(program)),
        SimpleNamespace(value=bytes(flat)),
        version,
        plan,
        1,
    )
    assert next(handles, None) is None, "a task consumes its whole input"
    return part


def test_compute(handle):
    part = run(handle, nn.Dense(3))
    assert part.node == (0, 0)
    assert part.error is None
    assert part.sums.tail[0] == pytest.approx(4 * np.log(3))
    assert part.sums.flat.shape == (9,)
    shard, _, got, took = part.reports[0]
    assert shard == 0
    assert got > 0
    assert took > 0


def test_weights_are_frozen_on_arrival(handle):
    kind, line, trace = run(handle, Meddler(3)).error
    assert kind == "ValueError"
    assert line == "shard 0: ValueError: assignment destination is read-only"
    assert "Meddler" in trace or "forward" in trace


def test_new_weights_are_taken_and_old_ones_kept(handle):
    first = run(handle, nn.Dense(3)).sums.flat.copy()
    ones = np.arange(9, dtype=np.float32)
    kept = run(handle, nn.Dense(3), ones).sums.flat.copy()  # the same version: already here
    assert np.array_equal(kept, first)
    assert not np.array_equal(run(handle, nn.Dense(3), ones, version=2).sums.flat, first)


def test_seats_are_few(handle):
    for layer in (nn.Dense(3), nn.Dense(3, bias=False), Meddler(3), nn.Dense(3)):
        run(handle, layer)
    assert len(job_tasks._seats) == 2


def test_missing_file_is_a_value(handle):
    kind, line, _ = run(replace(handle, path="/nowhere", host="here"), nn.Dense(3)).error
    assert kind == "MissingShard"
    assert line.startswith("shard 0 of 4 rows, written on here at /nowhere, is not whole")
