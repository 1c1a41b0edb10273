"""Batches in a torch DataLoader: with spawned workers every sample comes once, in the order of a single process."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tests.helpers_data import write_recipe
from wbench import generate
from wbench.errors import UsageError

torch = pytest.importorskip("torch")

N = 203


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch")
    recipe = write_recipe(folder, samples=N, subcarriers=8)
    return generate(recipe, size="tiny", out=folder / "small.zarr").open()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WBENCH_CACHE", str(tmp_path / "cache"))


def batches(made, ids, **options):
    from wbench.dataset.pytorch import torch_dataset

    return torch_dataset(made.path, ids, 10, 4, **options)


def served(loader):
    return np.concatenate([batch["sample"].numpy() for batch in loader])


def test_without_workers_tensors_are_those_of_the_dataset(made):
    data = batches(made, np.arange(N), arrays=("channel", "los"))
    loader = torch.utils.data.DataLoader(data, batch_size=None)
    plain = made.batches(np.arange(N), 10, 4, arrays=("channel", "los"))
    for epoch in (0, 3):
        data.set_epoch(epoch)
        plain.set_epoch(epoch)
        for batch, expected in zip(loader, plain, strict=True):
            assert batch["channel"].dtype == torch.complex64
            for name, values in expected.items():
                np.testing.assert_array_equal(batch[name].numpy(), values)


def test_spawned_workers_serve_every_sample_once_in_the_order_of_one_process(made):
    ids = np.arange(3, N)
    data = batches(made, ids, memory=1000)
    loader = torch.utils.data.DataLoader(
        data, batch_size=None, num_workers=2, multiprocessing_context="spawn", persistent_workers=True
    )
    plain = made.batches(ids, 10, 4)
    for epoch in (0, 1):
        data.set_epoch(epoch)
        found = served(loader)  # both workers want to make the mapped cache at once
        np.testing.assert_array_equal(np.sort(found), ids)
        np.testing.assert_array_equal(found, np.concatenate([batch["sample"] for batch in plain]))


def test_spawned_workers_share_the_blocks(made, monkeypatch):
    from wbench.dataset import pytorch

    monkeypatch.setattr(pytorch, "can_map", lambda *_: False)  # asked here only, not in the workers
    row = 4 * 8 * 8
    data = batches(made, np.arange(N), memory=2 * 2 * 40 * row)
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="spawn")
    values = made.read("channel", range(N))
    found = []
    for batch in loader:
        np.testing.assert_array_equal(batch["channel"].numpy(), values[batch["sample"].numpy()])
        found.append(batch["sample"].numpy())
    np.testing.assert_array_equal(np.sort(np.concatenate(found)), np.arange(N))


def test_what_is_opened_stays_in_its_process(made):
    data = batches(made, np.arange(N))
    next(iter(data))
    assert data._opened is not None
    text = pickle.dumps(data)
    assert pickle.loads(text)._opened is None
    assert len(text) < 10_000
    np.testing.assert_array_equal(served(pickle.loads(text)), served(data))


def test_what_is_wrong_is_said_before_a_worker_starts(made):
    with pytest.raises(UsageError):
        batches(made, [N])
