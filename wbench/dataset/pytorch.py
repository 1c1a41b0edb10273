"""Batches for a PyTorch ``DataLoader``, with worker processes under any start method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import IterableDataset, get_worker_info

from wbench.dataset.loader import Batches, Ids, can_map
from wbench.dataset.reader import open_dataset

__all__ = ["TorchBatches", "torch_dataset"]


class TorchBatches(IterableDataset[dict[str, torch.Tensor]]):
    """Whole batches of a dataset as tensors; see :func:`torch_dataset`."""

    def __init__(
        self,
        path: str | Path,
        ids: npt.ArrayLike,
        size: int,
        shuffle_seed: int | None = None,
        *,
        arrays: tuple[str, ...] = ("channel",),
        memory: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        dataset = open_dataset(path, storage_options)
        # What is wrong is said here, not in a worker. And whether there is room on the disk is asked once: workers that
        # came to different answers while the first of them fills it would serve different orders.
        self._ids: Ids = dataset.batches(ids, size, shuffle_seed, arrays=arrays, memory=memory).ids
        self._options: dict[str, Any] = {
            "size": size,
            "arrays": arrays,
            "shuffle_seed": shuffle_seed,
            "memory": memory,
            "mappable": can_map(dataset, arrays, np.sort(self._ids)),
        }
        self._path, self._storage_options = str(path), storage_options
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]  # workers that persist see it change
        self._opened: Batches | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but open files and loaded splits: each worker opens its own."""
        return {**self.__dict__, "_opened": None}

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; call it before each, as with ``DistributedSampler``."""
        self._epoch.fill_(epoch)

    def _open(self) -> Batches:
        if self._opened is None:
            worker = get_worker_info()
            share = (0, 1) if worker is None else (worker.id, worker.num_workers)
            self._opened = Batches(
                open_dataset(self._path, self._storage_options), self._ids, share=share, **self._options
            )
        return self._opened

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        """Tensors of this worker's batches."""
        batches = self._open()
        batches.set_epoch(int(self._epoch))
        for batch in batches:
            yield {name: torch.from_numpy(values) for name, values in batch.items()}


def torch_dataset(
    path: str | Path,
    ids: npt.ArrayLike,
    size: int,
    shuffle_seed: int | None = None,
    *,
    arrays: tuple[str, ...] = ("channel",),
    memory: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> TorchBatches:
    """Batches of a dataset for ``torch.utils.data.DataLoader(…, batch_size=None, num_workers=W)``.

    Parameters
    ----------
    path : path or str
        The dataset's folder or URL.
    storage_options : mapping, optional
        As in :func:`wbench.dataset.reader.open_dataset`.
    ids, size, shuffle_seed, arrays, memory
        As in :meth:`wbench.dataset.reader.Dataset.batches`; ``memory`` is what all workers may take together.

    Returns
    -------
    IterableDataset
        Dicts of ``sample`` (int64 [n]) and the arrays [n, …], complex64 as ``torch.complex64``. Over all workers every
        sample comes once in an epoch; in memory or mapped, in the order of a single process. ``set_epoch`` chooses the
        epoch.
    """
    options: dict[str, Any] = {"arrays": arrays, "memory": memory, "storage_options": storage_options}
    return TorchBatches(path, ids, size, shuffle_seed, **options)
