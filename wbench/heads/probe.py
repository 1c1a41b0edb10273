"""An embedder under a head is a predictor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.heads.base import Features, Head
from wbench.machine import answer_in_parts
from wbench.model import Embedder, ModelInfo, Predictor, TrainingData
from wbench.task.batch import Batch, ChannelMeta, Truth
from wbench.task.spec import TaskSpec

__all__ = ["Probe", "checked_tokens", "features_of"]


class Probe(Predictor):
    """An embedder with a trained head: a predictor.

    Parameters
    ----------
    embedder : Embedder
        The frozen features.
    head : Head
        What is trained on them.
    """

    def __init__(self, embedder: Embedder, head: Head) -> None:
        self.embedder = embedder
        self.head = head
        stochastic = embedder.info.stochastic or head.stochastic
        self.info: ModelInfo = replace(embedder.info, trains=True, stochastic=stochastic)  # type: ignore[misc]

    def supports(self, spec: TaskSpec) -> str | None:
        """Heads serve ``classify`` and ``regress``; then it is up to the embedder."""
        if spec.kind not in ("classify", "regress"):
            return f"the {self.head.name} head serves classify and regress tasks, not {spec.kind}"
        return self.embedder.supports(spec)

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Set up the embedder."""
        super().setup(spec, meta)
        self.embedder.setup(spec, meta)

    def accepts(self, meta: ChannelMeta) -> str | None:
        """What the embedder accepts."""
        return self.embedder.accepts(meta)

    def move(self, device: str) -> None:
        """Move the embedder."""
        self.embedder.move(device)

    def fit(self, train: TrainingData, val: TrainingData, seed: int) -> None:
        """Fit the embedder if it declares training, then the head."""
        if self.embedder.info.trains:
            self.embedder.fit(train, val, seed)
        self.fit_head(self._features_of(train), self._features_of(val), seed)

    def fit_head(self, train: tuple[Features, Truth], val: tuple[Features, Truth], seed: int) -> None:
        """Fit the head to features and targets; the harness keeps features of frozen embedders for several heads."""
        self.head.fit(train, val, self.meta.classes, seed)
        self.searches = (*self.embedder.searches, *self.head.searches)

    def _features_of(self, data: TrainingData) -> tuple[Features, Truth]:
        features: Features | None = None
        truths = []
        start = 0
        for batch, truth in data.batches():
            found = self._features(batch)
            if features is None:  # filled in place: joining a list of token maps would need the memory twice
                features = np.empty((len(data), *found.shape[1:]), dtype=found.dtype)
            elif found.shape[1:] != features.shape[1:]:
                why = f"{found.shape[1:]} after {features.shape[1:]}"
                raise ModelError("embed() changes its shape from batch to batch.", where=self.info.name, why=why)
            features[start : start + len(found)] = found
            start += len(found)
            truths.append(truth)
        if features is None:
            raise ModelError("There are no samples to fit a head to.", where=self.info.name)
        return features, {k: np.concatenate([t[k] for t in truths]) for k in truths[0]}

    def _features(self, batch: Batch) -> Features:
        return features_of(self.embedder, checked_tokens(self.embedder, batch), pools=self.head.pools)

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """Head on the features."""
        return self.head.predict(self._features(batch))

    def count_parameters(self) -> int:
        """Parameters of embedder and head."""
        return self.embedder.count_parameters() + self.head.count_parameters()

    def count_trained_parameters(self) -> int:
        """Those of the head, and of an embedder that trains."""
        return self.embedder.count_trained_parameters() + self.head.count_parameters()


def checked_tokens(embedder: Embedder, batch: Batch) -> npt.NDArray[Any]:
    """What the embedder gives for a batch: real numbers [n, token, d].

    Raises
    ------
    ModelError
        If it gives something else.
    """
    tokens, n = answer_in_parts(embedder.embed, batch), len(batch)
    if tokens.ndim != 3 or len(tokens) != n or 0 in tokens.shape or tokens.dtype.kind not in "iuf":
        why = f"it returned {tokens.dtype} {tokens.shape} for {n} samples"
        step = "of one vector per sample, [n, d], return x[:, None]"
        what = "embed() must return real numbers [n, token, d]."
        raise ModelError(what, where=embedder.info.name, why=why, next_step=step)
    return tokens


def features_of(embedder: Embedder, tokens: npt.NDArray[Any], *, pools: bool) -> Features:
    """What a head sees of tokens: pooled to one vector per sample, float64 [n, d], or themselves, float32.

    Raises
    ------
    ModelError
        If they are not finite, or are not pooled to one vector per sample.
    """
    name = embedder.info.name
    if not pools:
        features = tokens.astype(np.float32)
    else:
        features = np.asarray(embedder.pool(tokens.astype(np.float64)))
        if features.ndim != 2 or len(features) != len(tokens):
            why = f"it returned {features.shape} for {tokens.shape}"
            raise ModelError("pool() must return one vector per sample, [n, d].", where=name, why=why)
    if not np.isfinite(features).all():
        step = "look for a division by 0, a logarithm of 0 or an overflow of float32 in embed()"
        raise ModelError("embed() returned NaN or infinity.", where=name, next_step=step)
    return features
