"""Batches: the same samples and bits from memory, from the mapped cache and block by block, in a repeatable order."""

from __future__ import annotations

import itertools
import logging
import shutil

import numpy as np
import pytest
import zarr

from tests.helpers_data import write_recipe
from wbench import generate, open_dataset
from wbench.dataset import loader
from wbench.dataset.loader import Batches, choose
from wbench.dataset.manifest import entry_path
from wbench.errors import DatasetError, UnknownNameError, UsageError

STRATEGIES = ("memory", "memory-map", "blocks")
N = 203
ARRAYS = ("channel", "los")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loader")
    recipe = write_recipe(folder, samples=N, subcarriers=8)  # 13 shards of two blocks of 8, the last one shorter
    return generate(recipe, size="tiny", out=folder / "small.zarr").open()


@pytest.fixture(scope="module")
def direct(made):
    return {name: zarr.open_array(made.path / name, mode="r")[:] for name in ARRAYS}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def batches(dataset, strategy, ids, size=10, seed=None, arrays=ARRAYS, share=(0, 1), rows=40):
    """Batches of a given strategy, with a window of some rows for blocks."""
    row = sum(dataset.array(name).nbytes for name in arrays) // N
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "choose", lambda *_: strategy)
        return Batches(dataset, ids, size, arrays, shuffle_seed=seed, memory=2 * rows * row * share[1], share=share)


def served(epoch):
    """All samples of an epoch in order."""
    return np.concatenate([batch["sample"] for batch in epoch])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("size", [1, 7, 300])
def test_every_sample_once_with_its_own_bits(made, direct, strategy, size):
    ids = np.random.default_rng(1).permutation(N)[:150]
    found = list(batches(made, strategy, ids, size, seed=3))
    for batch in found:
        for name in ARRAYS:
            np.testing.assert_array_equal(batch[name], direct[name][batch["sample"]])
            assert batch[name].dtype == direct[name].dtype
    assert [len(batch["sample"]) for batch in found] == [size] * (150 // size) + [150 % size] * bool(150 % size)
    np.testing.assert_array_equal(np.sort(served(found)), np.sort(ids))


@pytest.mark.parametrize("strategy", ["memory", "blocks"])
def test_without_a_seed_the_order_is_that_of_the_ids(made, direct, strategy):
    for ids in (np.arange(N), np.random.default_rng(2).integers(0, N, 120)):  # the second one has some of them twice
        found = list(batches(made, strategy, ids, 9))
        np.testing.assert_array_equal(served(found), ids)
        np.testing.assert_array_equal(np.concatenate([b["channel"] for b in found]), direct["channel"][ids])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_order_belongs_to_its_seed_and_epoch(made, strategy):
    ids = np.arange(0, N, 2)
    one = batches(made, strategy, ids, seed=5)
    epochs = [served(one) for _ in range(3)]
    assert one.epoch == 3
    for a, b in itertools.combinations(epochs, 2):
        assert (a != b).mean() > 0.5
    again = batches(open_dataset(made.path), strategy, ids[::-1], seed=5)  # the order of the ids does not matter
    again.set_epoch(1)
    np.testing.assert_array_equal(served(again), epochs[1])
    np.testing.assert_array_equal(served(again), epochs[2])
    assert (served(batches(made, strategy, ids, seed=6)) != epochs[0]).mean() > 0.5


def test_memory_and_memory_map_serve_the_same_order(made):
    ids = np.arange(5, N)
    np.testing.assert_array_equal(
        served(batches(made, "memory", ids, seed=1)), served(batches(made, "memory-map", ids, seed=1))
    )


def test_duplicates_come_as_often_as_they_are_asked_for(made):
    ids = [4, 4, 100, 7, 100]
    for strategy in STRATEGIES:
        np.testing.assert_array_equal(np.sort(served(batches(made, strategy, ids, 2, seed=0))), np.sort(ids))


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_shares_of_workers_are_a_whole_epoch(made, strategy, workers):
    ids = np.arange(N)
    parts = [list(batches(made, strategy, ids, seed=2, share=(w, workers))) for w in range(workers)]
    np.testing.assert_array_equal(np.sort(np.concatenate([served(part) for part in parts])), ids)
    if strategy != "blocks":  # taking turns, they serve what one process would
        turns = [batch for turn in itertools.zip_longest(*parts) for batch in turn if batch is not None]
        np.testing.assert_array_equal(served(turns), served(batches(made, strategy, ids, seed=2)))


class Counting:
    """An array that remembers what was read of it."""

    def __init__(self, source, reads):
        self.source, self.reads = source, reads

    def __getattr__(self, name):
        return getattr(self.source, name)

    def __getitem__(self, key):
        self.reads.append(key)
        return self.source[key]


@pytest.mark.parametrize(("rows", "unit"), [(40, 8), (160, 16)], ids=["chunks", "shards"])
def test_blocks_read_everything_once_and_hold_no_more_than_a_window(made, monkeypatch, rows, unit):
    dataset, reads = open_dataset(made.path), []
    original = dataset.array
    monkeypatch.setattr(dataset, "array", lambda name: Counting(original(name), reads))
    epoch = batches(dataset, "blocks", np.arange(N), 5, seed=1, arrays=("channel",), rows=rows)
    held = [len(ids) for ids in epoch._window_ids(0)]
    assert max(held) < rows + unit
    assert len(held) >= N // (rows + unit)
    served(epoch)
    touched = np.concatenate([np.arange(key.start, key.stop) for key in reads])
    assert len(touched) == len(np.unique(touched))  # not one chunk twice
    assert len(reads) <= -(-N // unit)


def test_a_window_mixes_blocks_and_samples_within_it(made):
    epoch = batches(made, "blocks", np.arange(N), seed=9, arrays=("los",), rows=64)
    orders = [served(epoch) for _ in range(20)]
    for order in orders:
        assert len(np.unique(order[:64] // 8)) >= 8  # eight blocks from all over the dataset
        assert np.ptp(order[:64]) > N // 2
        assert (np.diff(order) == 1).mean() < 0.1
    # Over 26 blocks the correlation of one order with the ids scatters by 1/√25 = 0.2, the mean of 20 by 0.045.
    assert abs(np.mean([np.corrcoef(order, np.arange(N))[0, 1] for order in orders])) < 0.15


def test_samples_are_never_fetched_one_by_one(made, monkeypatch):
    dataset, shards = open_dataset(made.path), []
    monkeypatch.setattr(dataset, "read", lambda *_: pytest.fail("rows were read"))
    original = dataset.read_shard
    monkeypatch.setattr(dataset, "read_shard", lambda name, shard: shards.append(shard) or original(name, shard))
    for strategy in ("memory", "memory-map"):
        shards.clear()
        epoch = batches(dataset, strategy, np.arange(0, N, 3), seed=1, arrays=("channel",))
        for _ in range(3):
            served(epoch)
        assert shards == list(range(13))  # three epochs, one reading


def test_the_choice_goes_by_size():
    assert choose(100, 100, 1, True) == "memory"
    assert choose(101, 100, 1, True) == "memory-map"
    assert choose(101, 100, 1, False) == "blocks"
    assert choose(100, 100, 2, True) == "memory-map"  # two copies do not fit
    assert choose(50, 100, 2, False) == "memory"


def test_the_choice_is_said(made, monkeypatch, caplog):
    with caplog.at_level(logging.INFO, logger="wbench"):
        assert made.batches(range(N), 8, 1).strategy == "memory"
        assert made.batches(range(N), 8, 1, memory=1000).strategy == "memory-map"
        assert made.batches(range(N), 8, memory=1000).strategy == "blocks"  # in order, streaming is best
        monkeypatch.setattr(loader, "has_room", lambda nbytes: False)
        assert made.batches(range(N), 8, 1, memory=1000).strategy == "blocks"
        monkeypatch.undo()
        monkeypatch.setattr(loader, "machine_memory", lambda: 1000)  # the page cache could not hold it either
        assert made.batches(range(N), 8, 1).strategy == "blocks"
    said = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(": ")[2] for line in said] == ["memory", "memory-map", "blocks", "blocks", "blocks"]
    assert str(made.path) in said[0]
    assert made.batches(range(10), 4).nbytes == 10 * 4 * 8 * 8
    assert len(made.batches(range(10), 4)) == 3


def test_batches_are_copies_that_may_be_written(made, direct):
    for strategy in STRATEGIES:
        epoch = batches(made, strategy, np.arange(N), 50, seed=1)
        for batch in epoch:
            batch["channel"][:] = 0
        for batch in epoch:
            np.testing.assert_array_equal(batch["channel"], direct["channel"][batch["sample"]])


def test_no_ids_no_batches(made):
    for seed in (None, 1):
        assert list(made.batches([], 4, seed)) == []
        assert list(made.batches(np.empty(0, int), 4, seed, memory=0)) == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"size": 0}, UsageError),
        ({"arrays": ()}, UsageError),
        ({"shuffle_seed": -1}, UsageError),
        ({"arrays": ("chanel",)}, UnknownNameError),
        ({"ids": [N]}, UsageError),
        ({"ids": [0.5]}, UsageError),
    ],
)
def test_bad_requests_are_refused_at_once(made, change, error):
    with pytest.raises(error):
        made.batches(**{"ids": [0, 1], "size": 1, **change})


def _copy(made, tmp_path):
    shutil.copytree(made.path, tmp_path / "copy.zarr")
    return tmp_path / "copy.zarr"


@pytest.mark.parametrize("strategy", ["memory", "memory-map"])
def test_a_damaged_shard_is_not_served(made, tmp_path, cache, strategy):
    path = _copy(made, tmp_path)
    zarr.open_group(path, mode="r+")["channel"][20] = 0
    epoch = batches(open_dataset(path), strategy, np.arange(N), seed=1)
    with pytest.raises(DatasetError, match="Shard 1 is damaged") as caught:
        next(iter(epoch))
    assert "--repair" in caught.value.next_step
    assert not list(cache.rglob("*.npy")) + list(cache.rglob("*.tmp"))


def test_an_incomplete_dataset_has_no_batches(made, tmp_path):
    path = _copy(made, tmp_path)
    entry_path(path, 5).unlink()
    with pytest.raises(DatasetError, match="1 of 13 shards are missing"):
        open_dataset(path).batches([0], 1)
