"""Files on a server's file systems, by Spark's readers and writers alone."""

import numpy as np
import pytest

from dpnn import load, nn
from dpnn.models.model import TrainedModel
from dpnn.spark import files, slots
from dpnn.spark.remote import RemotePath
from dpnn.spark.session import Session

pytestmark = pytest.mark.connect


@pytest.fixture
def path(spark_session, tmp_path):
    """A path as on another machine."""
    return RemotePath(f"file:{tmp_path}/made here/model 1.bin", Session.active())


def test_life_of_a_file(path, tmp_path):
    assert not path.exists()
    with pytest.raises(FileNotFoundError, match=r"no such file: .*model 1\.bin"):
        path.fetch(tmp_path / "copy")
    for content in (b"first", b"second, longer", b"", bytes(range(256)) * 40):
        path.write(content)
        assert path.fetch(tmp_path / "copy").read_bytes() == content
    assert path.exists()
    folder = RemotePath(path.uri.rpartition("/")[0], path._session)
    assert folder.names() == ["model 1.bin"]
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        folder.write(b"x")
    assert path.names() == ["slot=0", "slot=1"]


def test_content_in_many_rows(path, tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "ROW", 1000)
    data = np.random.default_rng(0).bytes(12_345)
    path.write(data)
    assert path.fetch(tmp_path / "copy").read_bytes() == data


def test_what_fails_leaves_what_was_there(path, tmp_path, monkeypatch):
    path.write(b"good")

    def broken(*_, **__):
        def run(batches):
            raise ZeroDivisionError("half way")

        return run

    with monkeypatch.context() as patch:
        patch.setattr(slots, "_rows", broken)
        with pytest.raises(OSError, match="cannot reach"):
            path.write(b"bad")
    assert path.fetch(tmp_path / "copy").read_bytes() == b"good"


def test_a_damaged_version_gives_way_to_the_one_before(path, tmp_path):
    path.write(b"before")
    path.write(b"after")
    (newest,) = (tmp_path / "made here/model 1.bin/slot=1").glob("*.parquet")
    other = next((tmp_path / "made here/model 1.bin/slot=0").glob("*.parquet"))
    for file in tmp_path.rglob("*.crc"):
        file.unlink()
    versions = {p: p.read_bytes() for p in (newest, other)}
    last = next(p for p, content in versions.items() if b"after" in content)
    last.write_bytes(versions[last].replace(b"after", b"aftex"))
    found = path.fetch(tmp_path / "copy").read_bytes()
    assert found == b"before"


def test_a_plain_file_is_read(path, tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "ROW", 1000)
    data = np.random.default_rng(1).bytes(4_000)
    (tmp_path / "plain").write_bytes(data)
    plain = RemotePath(f"file:{tmp_path}/plain", path._session)
    assert plain.exists()
    assert not plain.is_folder()
    assert plain.fetch(tmp_path / "copy").read_bytes() == data
    with pytest.raises(OSError, match="Spark Connect cannot replace"):
        plain.write(b"x")


def test_models_of_either_kind_of_session(spark_session, tmp_path, monkeypatch):
    network = nn.Sequential(nn.Dense(2)).build((3,), 0)
    model = TrainedModel(network, nn.SoftmaxCrossEntropy())
    monkeypatch.setattr(files, "local", lambda path: None)
    uri = f"file:{tmp_path}/model.safetensors"
    RemotePath(uri, Session.active()).write(b"older")
    model.save(uri)
    assert np.array_equal(load(uri).weights, model.weights)


def test_unknown_file_systems_are_one_line(spark_session):
    with pytest.raises(OSError, match=r"cannot reach nope://x/y: .*nope") as told:
        RemotePath("nope://x/y", Session.active()).exists()
    assert "\n" not in str(told.value)
