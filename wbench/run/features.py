"""Features of a frozen embedder on a task: computed once for a part, used again by heads, budgets, draws and seeds.

Always the whole part is embedded, in the same batches: so features do not hang on which budget or draw asked first,
nor on the number of workers. Samples of the test part that are answered a second time, alone, are embedded alone as
well and kept beside the others: a cached embedder is checked for independence like any other.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from wbench import __version__
from wbench.digest import array_digest, arrays_digest
from wbench.errors import ModelError
from wbench.heads import Probe
from wbench.heads.base import Features, Head
from wbench.heads.probe import checked_tokens, features_of
from wbench.heads.trained import PASS
from wbench.model import Embedder, TorchEmbedder, source_digest
from wbench.model_folder import paths_digest
from wbench.run.cost import BATCHES, CallCost, call_costs, first_samples, so_many, together, whole_passes
from wbench.run.embeddings import EmbeddingCache, Stored
from wbench.run.guard import probe_rows
from wbench.task.base import Task
from wbench.task.batch import Batch, Truth
from wbench.task.part import TaskData
from wbench.task.spec import Part

__all__ = ["BATCH", "TOKENS_LIMIT_BYTES", "FrozenFeatures", "Kind", "kind_of"]

BATCH: Final = 256
#: A part whose tokens would take more is not kept as tokens: heads that want them embed it again. Pooled features are.
TOKENS_LIMIT_BYTES: Final = 2 << 30
FORMAT: Final = 1

Kind = Literal["pooled", "tokens"]
Ids = npt.NDArray[np.int64]


def kind_of(head: Head | type[Head]) -> Kind:
    """What a head is fitted to: one vector per sample, float64, or the tokens, float32."""
    return "pooled" if head.pools else "tokens"


class FrozenFeatures:
    """What one embedder, after its setup, makes of one task.

    Parameters
    ----------
    probe : Probe
        The embedder with its head; the embedder does not train.
    task : Task
        The task.
    cache : EmbeddingCache
        Where features are kept.
    kinds : iterable of {"pooled", "tokens"}
        What heads of this evaluation want: one pass over a part makes all of it. The probe's own is always made.
    """

    def __init__(self, probe: Probe, task: Task, cache: EmbeddingCache, kinds: Iterable[Kind] = ()) -> None:
        self._embedder: Embedder = probe.embedder
        self._task, self._cache = task, cache
        self.kind = kind_of(probe.head)
        self._kinds: tuple[Kind, ...] = (self.kind, *sorted({*kinds} - {self.kind}))
        self._about = _about_embedder(probe.embedder)
        self._parts: dict[Part, Stored | None] = {}

    def has(self, part: Part) -> bool:
        """Whether the features of a part can be had from here; embeds it if that was not done before."""
        if part not in self._parts:
            self._parts[part] = self._find(part)
        return self._parts[part] is not None

    def rows(self, part: Part, ids: Ids) -> Features:
        """Features of some of a part's samples."""
        whole = self._task.ids(part)
        array = self._stored(part).array
        if len(ids) == len(whole):
            return array[: len(ids)]
        return array[np.searchsorted(whole, ids)]

    def alone(self) -> Features:
        """Features of the test samples that are answered a second time, each embedded alone."""
        return self._stored("test").array[len(self._task.ids("test")) :]

    def pair(self, part: Part, data: TaskData) -> tuple[Features, Truth]:
        """Features and targets of training or validation data."""
        return self.rows(part, data.ids), self._task.truth(part, data.ids)

    def seconds(self, part: Part, count: int) -> float:
        """What embedding ``count`` samples of a part cost when it was done."""
        return self._stored(part).seconds * count / max(1, len(self._task.ids(part)))

    def _stored(self, part: Part) -> Stored:
        found = self._parts[part] if self.has(part) else None
        if found is None:
            raise LookupError(f"the features of the {part} part are not kept")
        return found

    def _find(self, part: Part) -> Stored | None:
        key = self._key(part, self.kind)
        found = self._cache.get(key)
        if found is None and self._fits(part):
            with self._cache.making({**key, "kind": "any"}):
                found = self._cache.get(key) or self._made(part)
        return found

    def _fits(self, part: Part) -> bool:
        if self.kind == "pooled":
            return True
        ids = self._task.ids(part)
        return self._kept(self._tokens(next(self._task.batches(part, ids[:1], 1))), len(ids))

    def _kept(self, tokens: npt.NDArray[Any], count: int) -> bool:
        """Whether the tokens of so many samples are worth their space."""
        return int(tokens[0].size) * 4 * count <= min(TOKENS_LIMIT_BYTES, self._cache.limit_bytes)

    def _made(self, part: Part) -> Stored:
        """Embed a part in one pass; keep all kinds of features that are asked for and fit."""
        ids = self._task.ids(part)
        alone = ids[probe_rows(len(ids), self._task.spec.digest)] if part == "test" else ids[:0]
        arrays: dict[Kind, npt.NDArray[Any]] = {}
        start, seconds = 0, 0.0
        for batch in chain(self._task.batches(part, ids, BATCH), self._task.batches(part, alone, 1)):
            began = time.perf_counter()
            tokens = self._tokens(batch)
            for kind in self._kinds:
                if kind == "tokens" and not self._kept(tokens, len(ids)):
                    continue
                found = self._features(tokens, kind)
                if kind not in arrays:
                    arrays[kind] = np.empty((len(ids) + len(alone), *found.shape[1:]), found.dtype)
                elif found.shape[1:] != arrays[kind].shape[1:]:
                    why = f"{found.shape[1:]} after {arrays[kind].shape[1:]}"
                    where = self._embedder.info.name
                    raise ModelError("embed() changes its shape from batch to batch.", where=where, why=why)
                arrays[kind][start : start + len(batch)] = found
            seconds += time.perf_counter() - began if start < len(ids) else 0.0
            start += len(batch)
        calls = self._calls(seconds, len(ids)) if part == "test" else {}
        for kind, array in arrays.items():
            if kind == self.kind or self._cache.get(self._key(part, kind)) is None:
                self._cache.put(self._key(part, kind), array, seconds, calls)
        return Stored(arrays[self.kind], seconds, calls)

    def _calls(self, seconds: float, count: int) -> dict[str, float | None]:
        """What calls of the embedder cost; kept beside the features, for all heads."""
        batch = first_samples(self._task)
        size = whole_passes(self._embedder)
        return asdict(call_costs(lambda n: self._tokens(so_many(batch, n)), size, seconds / count, seconds))

    def call_costs(self, head: Head) -> CallCost:
        """What calls of the embedder cost when the features of the test part were made, and calls of the head now."""
        rows = self.rows("test", self._task.ids("test")[: BATCHES[-1]])
        each = call_costs(lambda n: head.predict(rows[np.resize(np.arange(len(rows)), n)]), PASS, 0.0, 0.0)
        return together(CallCost(**self._stored("test").calls), each)

    def _tokens(self, batch: Batch) -> npt.NDArray[Any]:
        return checked_tokens(self._embedder, batch)

    def _features(self, tokens: npt.NDArray[Any], kind: Kind) -> Features:
        return features_of(self._embedder, tokens, pools=kind == "pooled")

    def _key(self, part: Part, kind: Kind) -> dict[str, Any]:
        task = self._task
        return {
            **self._about,
            "task": task.spec.digest,  # the family's parameters, the noise and the split as well
            "family": source_digest(type(task)),
            "part": part,
            "ids": array_digest(task.ids(part)),
            "dataset": task.dataset(part).content_digest,
            "kind": kind,
            "batch": BATCH,
        }


def _about_embedder(embedder: Embedder) -> dict[str, Any]:
    """Everything about an embedder that can move a feature."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "model": [embedder.info.name, embedder.info.revision],
        "class": type(embedder).__qualname__,
        "source": source_digest(type(embedder)),
        "versions": {"wbench": __version__, "numpy": np.__version__},
        "dtype": "float32",
    }
    if embedder.files:
        about["files"] = paths_digest(list(embedder.files))
    if isinstance(embedder, TorchEmbedder):
        weights = {name: tensor.detach().cpu() for name, tensor in embedder.module.state_dict().items()}
        about["weights"] = arrays_digest({name: _as_array(tensor) for name, tensor in weights.items()})
        about["device"] = sorted({tensor.device.type for tensor in embedder.module.state_dict().values()})
        about["versions"]["torch"] = str(sys.modules["torch"].__version__)
    return about


def _as_array(tensor: Any) -> npt.NDArray[Any]:
    # NumPy has no bfloat16; every one of its values is a float32.
    return np.asarray((tensor.float() if tensor.is_floating_point() and tensor.itemsize < 4 else tensor).numpy())
