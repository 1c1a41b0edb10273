"""The memory-mapped cache: made once, by one process, whole or not at all; large arrays in random order go to it."""

from __future__ import annotations

import errno
import threading
import time

import numpy as np
import pytest

from tests.helpers_data import write_recipe
from wbench import generate, open_dataset
from wbench.dataset import cache, reader
from wbench.errors import DatasetError

ROWS = np.arange(24, dtype=np.float32).reshape(12, 2)


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("WBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pieces(log=None):
    for start in (0, 5):
        if log is not None:
            log.append(start)
        yield ROWS[start : 5 if start == 0 else 12]


def path_of(name="channel", ids=range(12)):
    return cache.cache_path("sha256:" + "a" * 64, name, np.asarray(ids, np.int64))


def files(root):
    return [path for path in root.rglob("*") if path.suffix in (".npy", ".tmp")]


def test_rows_are_made_once_and_are_a_plain_npy_file(root):
    log = []
    for _ in range(2):
        rows = cache.map_rows(path_of(), (12, 2), np.float32, pieces(log))
        np.testing.assert_array_equal(rows, ROWS)
        assert not rows.flags.writeable
        assert type(rows) is np.ndarray
    assert log == [0, 5]
    np.testing.assert_array_equal(np.load(files(root)[0]), ROWS)
    assert root in path_of().parents


def test_the_name_holds_content_array_and_rows():
    other = cache.cache_path("sha256:" + "b" * 64, "channel", np.arange(12))
    assert len({path_of(), other, path_of("los"), path_of(ids=range(11)), path_of(ids=range(1, 13))}) == 5
    assert path_of() == path_of()


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-8], lambda data: b"x" + data[1:]])
def test_a_damaged_file_is_made_again(damage):
    path, log = path_of(), []
    cache.map_rows(path, (12, 2), np.float32, pieces())
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(cache.map_rows(path, (12, 2), np.float32, pieces(log)), ROWS)
    assert log == [0, 5]


def test_a_full_disk_is_one_error_and_leaves_nothing(root):
    def full():
        yield ROWS[:5]
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DatasetError, match="cannot be written") as caught:
        cache.map_rows(path_of(), (12, 2), np.float32, full())
    assert "No space left" in caught.value.why
    assert "WBENCH_CACHE" in caught.value.next_step
    assert files(root) == []
    np.testing.assert_array_equal(cache.map_rows(path_of(), (12, 2), np.float32, pieces()), ROWS)


def test_too_few_rows_are_not_kept(root):
    with pytest.raises(DatasetError, match="too short"):
        cache.map_rows(path_of(), (13, 2), np.float32, pieces())
    assert files(root) == []


def test_one_makes_it_and_the_others_wait():
    log, found = [], []

    def slow():
        log.append(1)
        for piece in pieces():
            time.sleep(0.1)
            yield piece

    threads = [
        threading.Thread(target=lambda: found.append(cache.map_rows(path_of(), (12, 2), np.float32, slow())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log == [1]
    assert len(found) == 4
    for rows in found:
        np.testing.assert_array_equal(rows, ROWS)


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.delenv("WBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_root() == tmp_path / "xdg" / "wbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.cache_root() == tmp_path / ".cache" / "wbench"


def test_room_and_memory(monkeypatch, tmp_path):
    assert cache.has_room(0)
    assert not cache.has_room(1 << 60)
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(cache, "_CGROUP_LIMIT", limit)
    total = cache.machine_memory()
    limit.write_text("max\n")
    assert cache.machine_memory() == total > 1 << 28
    limit.write_text("12345\n")
    assert cache.machine_memory() == 12345


def test_random_rows_of_a_large_array_end_in_the_cache(tmp_path, root, monkeypatch):
    recipe = write_recipe(tmp_path, samples=160, subcarriers=8)
    path = generate(recipe, size="tiny", out=tmp_path / "large.zarr").path
    whole = open_dataset(path).read("channel", range(160))
    monkeypatch.setattr(reader, "RAM_LIMIT_BYTES", 0)
    dataset = open_dataset(path)
    for _ in range(3):  # in order, three times: every chunk once each time, nothing to gain
        for start in range(0, 160, 20):
            dataset.read("channel", np.arange(start, start + 20))
        dataset = open_dataset(path)
    assert files(root) == []
    rng = np.random.default_rng(0)
    for _ in range(8):
        ids = rng.permutation(160)[:32]
        rows = dataset.read("channel", ids)
        np.testing.assert_array_equal(rows, whole[ids])
        rows[:] = 0  # a copy
    assert len(files(root)) == 1
    monkeypatch.setattr(dataset, "array", lambda name: pytest.fail("the store was read"))
    np.testing.assert_array_equal(dataset.read("channel", ids), whole[ids])


def test_without_room_random_rows_are_still_right(tmp_path, root, monkeypatch):
    recipe = write_recipe(tmp_path, samples=160, subcarriers=8)
    path = generate(recipe, size="tiny", out=tmp_path / "large.zarr").path
    whole = open_dataset(path).read("channel", range(160))
    monkeypatch.setattr(reader, "RAM_LIMIT_BYTES", 0)
    monkeypatch.setattr(reader, "can_map", lambda *_: False)
    dataset = open_dataset(path)
    for seed in range(6):
        ids = np.random.default_rng(seed).permutation(160)[:40]
        np.testing.assert_array_equal(dataset.read("channel", ids), whole[ids])
    assert files(root) == []
