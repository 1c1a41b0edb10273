"""Conformance of models: nothing but the sample itself may decide its answer."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.heads import Probe, build_head
from wbench.model import Codec, Embedder, Model, Predictor, load_model
from wbench.run.codec import check_payloads
from wbench.task.base import Task
from wbench.task.batch import Batch
from wbench.task.part import TaskData, concatenate
from wbench.testing.suite import Suite, require, same

__all__ = ["ModelSuite"]

#: Batched linear algebra may take another path for another batch size; more than this is a real dependence.
TOLERANCE = 1e-4


class ModelSuite(Suite):
    """Subclass it and set ``reference`` and ``task``.

    Attributes
    ----------
    reference : str
        Model as for ``wbench evaluate --model``.
    task : Task
        A task that it serves, on a small dataset.
    """

    reference: ClassVar[str]
    task: ClassVar[Task]

    def _fitted(self) -> Model:
        model = load_model(self.reference)
        if isinstance(model, Embedder):
            model = Probe(model, build_head("linear"))
        reason = model.supports(self.task.spec)
        if reason is not None:
            raise ModelError(f"It does not serve {self.task.spec.name}.", why=reason)
        model.setup(self.task.spec, self.task.meta)
        if model.info.trains:
            model.fit(TaskData(self.task, "train"), TaskData(self.task, "val"), 0)
        return model

    def _batch(self) -> Batch:
        ids = self.task.ids("test")[:12]
        return concatenate(list(self.task.pairs("test", ids)))[0]

    def _answer(self, model: Model, batch: Batch) -> npt.NDArray[Any]:
        if isinstance(model, Codec):
            payloads = list(model.encoder()(batch))
            check_payloads(payloads, len(batch), self.task.spec.limit.max_bits if self.task.spec.limit else 0)
            return np.asarray(model.decoder()(payloads))
        if isinstance(model, Predictor):
            return np.asarray(model.predict(batch))
        raise ModelError("It is neither a predictor nor a codec.", where=self.reference)

    def test_declares_itself(self) -> None:
        """The model has a name with an organisation, a revision, a licence and a summary."""
        info = load_model(self.reference).info
        require("/" in info.name, f"info.name {info.name!r} should be 'organisation/model'")
        require(bool(info.revision), "info.revision is empty")
        require(bool(info.licence), "info.licence is empty: a board row needs it")
        require(bool(info.summary), "info.summary is empty")

    def test_answer_is_finite(self) -> None:
        """Answers have one row per sample and are finite."""
        batch = self._batch()
        answer = self._answer(self._fitted(), batch)
        require(len(answer) == len(batch), f"{len(answer)} answers for {len(batch)} samples")
        require(bool(np.isfinite(answer).all()), "an answer is NaN or infinite")

    def test_batch_size_and_order(self) -> None:
        """A sample's answer does not depend on the other samples of its batch, their number or their order."""
        model, batch = self._fitted(), self._batch()
        whole = self._answer(model, batch)
        parts = np.concatenate([self._answer(model, _take(batch, np.array([i]))) for i in range(len(batch))])
        require(same(whole, parts, TOLERANCE), "answers for single samples differ from those for the whole batch")
        order = np.arange(len(batch))[::-1]
        turned = self._answer(model, _take(batch, order))
        require(same(whole, turned[order], TOLERANCE), "answers depend on the order of the batch")

    def test_does_not_change_its_input(self) -> None:
        """The arrays of a batch are as before."""
        model, batch = self._fitted(), self._batch().copy()
        before = batch.copy()
        self._answer(model, batch)
        for name, values in before.x.items():
            require(same(values, batch.x[name]), f"batch.x[{name!r}] was changed")

    def test_deterministic(self) -> None:
        """Fitting and answering twice with the same seed gives the same answer."""
        batch = self._batch()
        require(
            same(self._answer(self._fitted(), batch), self._answer(self._fitted(), batch), TOLERANCE),
            "two runs with the same seed differ",
        )

    def test_codec_halves_are_separate(self) -> None:
        """A codec's decoder pickles, and answers the same when rebuilt before anything was encoded."""
        model, batch = self._fitted(), self._batch()
        if not isinstance(model, Codec):
            return
        frozen = pickle.dumps(model.decoder())
        payloads = list(model.encoder()(batch))
        expected = np.asarray(model.decoder()(payloads))
        rebuilt = np.asarray(pickle.loads(frozen)(payloads[::-1]))[::-1]
        require(same(expected, rebuilt, TOLERANCE), "the decoder knows more than the payloads")


def _take(batch: Batch, index: npt.NDArray[np.int64]) -> Batch:
    x = {name: values if name == "observed" else values[index] for name, values in batch.x.items()}
    noise = None if batch.noise_power is None else batch.noise_power[index]
    return Batch(batch.ids[index], x, noise, batch.meta)
