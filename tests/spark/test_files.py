"""Whole files, here and through Hadoop: published atomically, errors by name."""

import os
import time
from pathlib import Path

import pytest

from dpnn.spark import files


@pytest.fixture(params=["plain", "file uri"])
def folder(request, tmp_path):
    return str(tmp_path) if request.param == "plain" else tmp_path.as_uri()


def check_life_of_a_file(path, folder):
    assert not files.exists(path)
    files.write(path, b"first")
    files.write(path, b"second, longer")
    assert files.exists(path)
    assert files.read(path) == b"second, longer"
    assert [name for name in files.names(folder) if not name.startswith(".")] == ["model 1.bin"]
    with files.opened(path) as here:
        assert here.read_bytes() == b"second, longer"
    files.delete(path)
    files.delete(path)
    assert not files.exists(path)


def test_a_file_is_written_replaced_read_and_deleted(folder):
    check_life_of_a_file(f"{folder}/made/model 1.bin", f"{folder}/made")


@pytest.mark.classic("Hadoop's classes are the JVM's; tests/spark/test_remote.py has the like")
def test_the_same_through_hadoop(spark_session, tmp_path, monkeypatch):
    here = files.local
    monkeypatch.setattr(files, "local", lambda path: None)
    folder = f"file:{tmp_path}/made"
    check_life_of_a_file(f"{folder}/model 1.bin", folder)
    monkeypatch.setattr(files, "local", here)
    left = [name for name in files.names(tmp_path / "made") if not name.endswith(".crc")]
    assert not left, "a part was left"


def test_hadoop_errors_are_one_line(spark_session):
    with pytest.raises(OSError, match=r'cannot reach nope://x/y: .*No FileSystem.*"nope"') as told:
        files.read("nope://x/y")
    assert "\n" not in str(told.value)


def test_file_uris_are_as_hadoop_reads_them():
    assert files.local("file:/a/b") == files.local("file:///a/b") == Path("/a/b")
    assert files.local("file://localhost/a#b/c%20d") == Path("/a#b/c%20d")
    with pytest.raises(ValueError, match="names a host, 'tmp': write file:///tmp/model"):
        files.local("file://tmp/model")


def test_names_of_no_folder_are_none(tmp_path):
    assert files.names(tmp_path / "nowhere") == []


def test_a_failed_write_leaves_the_old_content_and_no_part(tmp_path, monkeypatch):
    path = tmp_path / "model.bin"
    files.write(path, b"old")

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"^cannot write .*model.bin, 3 bytes: No space"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert files.names(tmp_path) == ["model.bin"]


def test_missing_files_and_directories_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*gone.bin"):
        files.read(tmp_path / "gone.bin")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        files.read(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a directory"):
        files.write(tmp_path, b"")


def test_a_new_file_has_the_rights_of_the_umask(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    files.write(tmp_path / "ours", b"")
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode


def test_without_spark_a_remote_path_says_what_it_needs(monkeypatch):
    from pyspark import SparkContext

    monkeypatch.setattr(SparkContext, "_active_spark_context", None)
    with pytest.raises(RuntimeError, match="hdfs://x/y needs a running Spark session"):
        files.read("hdfs://x/y")


def test_links_are_followed_and_pipes_written_to(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.check_writable(tmp_path / "link")
    files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    files.check_writable(tmp_path / "pipe")
    files.write(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_the_longest_names_and_those_beyond(tmp_path):
    files.check_writable(tmp_path / ("n" * 255))
    files.write(tmp_path / ("n" * 255), b"x")
    for check in (files.check_writable, lambda path: files.write(path, b"x")):
        with pytest.raises(OSError, match="File name too long"):
            check(tmp_path / ("n" * 256))
    with pytest.raises(ValueError, match="a path is empty"):
        files.check_writable("")


@pytest.mark.parametrize("hadoop", [False, True])
def test_parts_of_writers_that_were_killed_are_swept(request, tmp_path, monkeypatch, hadoop):
    path = str(tmp_path / "state")
    if hadoop:
        request.getfixturevalue("spark_session")
        monkeypatch.setattr(files, "local", lambda path: None)
        path = f"file:{path}"
    files.sweep(f"{path}/nowhere/file")
    (tmp_path / ".state.folder").mkdir()
    os.utime(tmp_path / ".state.folder", (0, 0))
    for name, age in ((".state.old", 3600), (".state.young", 0), (".other.old", 3600)):
        (tmp_path / name).write_bytes(b"part")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    files.sweep(path)
    left = [] if hadoop else [".state.folder"]
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.old", *left, ".state.young"]
