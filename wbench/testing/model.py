"""Conformance of models: nothing but the sample itself may decide its answer."""

from __future__ import annotations

import logging
import os
import pickle
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.heads import Probe, build_head
from wbench.machine import device_name, peak_device_bytes, peak_host_bytes, reset_peaks, resolve_device
from wbench.model import Codec, Embedder, Model, Predictor
from wbench.run.answering import checked_answer
from wbench.run.codec import check_payloads
from wbench.run.cost import model_costs, placed
from wbench.task.base import Task
from wbench.task.batch import Batch
from wbench.task.part import TaskData, concatenate
from wbench.testing.suite import Suite, require, same
from wbench.two_sided import load

__all__ = ["ModelSuite"]

#: Batched linear algebra may take another path for another batch size; more than this is a real dependence.
TOLERANCE = 1e-4
#: A GPU's single precision is another arithmetic, with shorter mantissas in its matrix products.
DEVICE_TOLERANCE = 1e-2

#: Longest call whose time is taken.
PATIENCE_S = 10.0


class ModelSuite(Suite):
    """Subclass it and set ``reference`` and ``task``.

    Attributes
    ----------
    reference : str
        Model as for ``wbench evaluate --model``, a pair ``ENCODER -> DECODER`` too.
    task : Task
        A task that it serves, on a small dataset.
    """

    reference: ClassVar[str]
    task: ClassVar[Task]
    _kept: tuple[Model, dict[str, Any]] | None = None

    def _fitted(self) -> Model:
        """The model after its fit: once for all tests that do not need another one."""
        if self._kept is None:
            self._kept = self._fit()
        return self._kept[0]

    def _fit(self, *, train: bool = True) -> tuple[Model, dict[str, Any]]:
        model = load(self.reference)
        if isinstance(model, Embedder):
            model = Probe(model, build_head("linear"))
        reason = model.supports(self.task.spec) or model.accepts(self.task.meta)
        if reason is not None:
            raise ModelError(f"It does not serve {self.task.spec.name}.", why=reason)
        reset_peaks()
        began = time.perf_counter()
        model.setup(self.task.spec, self.task.meta)
        device = placed(model)
        ready = time.perf_counter()
        if train and model.info.trains:
            model.fit(TaskData(self.task, "train"), TaskData(self.task, "val"), 0)
        done = time.perf_counter()
        return model, {"setup": ready - began, "fit": done - ready, "device": device}

    def cost(self) -> dict[str, str]:
        """What the model costs here, as text by what it is: parameters, operations, latencies, times, memory."""
        model, facts = self._fitted(), self._kept[1] if self._kept else {}
        batch = self._batch()
        began = time.perf_counter()
        self._answer(model, batch)
        each = (time.perf_counter() - began) / len(batch)
        calls = model_costs(model, self.task, each, facts["setup"] + facts["fit"], least_s=PATIENCE_S)
        held = peak_device_bytes(facts["device"])
        return {
            "device": device_name(facts["device"]),
            "parameters": f"{model.count_parameters():,}",
            "trained parameters": f"{model.count_trained_parameters():,}",
            "FLOPs per sample": _or_none(calls.flops_per_sample, "{:,.0f}", "none in PyTorch, or not counted"),
            "latency, batch of 1": _or_none(calls.latency_1_s, "{:.3g} s", "too slow to measure here"),
            "latency, batch of 64": _or_none(calls.latency_64_s, "{:.3g} s", "too slow to measure here"),
            "setup": f"{facts['setup']:.2f} s",
            "training": f"{facts['fit']:.2f} s" if model.info.trains else "none",
            "peak memory of the process": _or_none(peak_host_bytes(), "{:,.0f} bytes", "not told by this system"),
            **({} if held is None else {"peak memory of the GPU": f"{held:,} bytes"}),
        }

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
        info = load(self.reference).info
        require("/" in info.name, f"info.name {info.name!r} should be 'organisation/model'")
        require(bool(info.revision), "info.revision is empty")
        require(bool(info.licence), "info.licence is empty: a board row needs it")
        require(bool(info.summary), "info.summary is empty")

    def test_answer_is_finite(self) -> None:
        """Answers have the shape that the task asks for, one row per sample, and are finite numbers."""
        batch = self._batch()
        checked_answer(self._answer(self._fitted(), batch), self.task, len(batch), self.reference)

    def test_batch_size_and_order(self) -> None:
        """A sample's answer does not depend on the other samples of its batch, their number or their order."""
        model, batch = self._fitted(), self._batch()
        whole = self._answer(model, batch)
        parts = np.concatenate([self._answer(model, batch.rows(np.array([i]))) for i in range(len(batch))])
        require(same(whole, parts, TOLERANCE), "answers for single samples differ from those for the whole batch")
        order = np.arange(len(batch))[::-1]
        turned = self._answer(model, batch.rows(order))
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
        again = self._fit()[0]
        require(
            same(self._answer(self._fitted(), batch), self._answer(again, batch), TOLERANCE),
            "two runs with the same seed differ",
        )

    def test_device_fallback(self) -> None:
        """Asked for a GPU it answers there as on the CPU; without one it stays on the CPU, and says so."""
        with _asking("cuda"):
            if resolve_device("cuda")[0] == "cpu":
                with _heard() as said:
                    device = self._fit(train=False)[1]["device"]
                require(device == "cpu", f"there is no GPU, and it went to {device}")
                require(bool(said), "there is no GPU, and no line says that the CPU does the work")
                return
            batch = self._batch()
            elsewhere = self._answer(self._fit()[0], batch)
        require(same(self._answer(self._fitted(), batch), elsewhere, DEVICE_TOLERANCE), "the GPU's answers differ")

    def test_codec_halves_are_separate(self) -> None:
        """A codec's decoder pickles, and answers the same when rebuilt before anything was encoded."""
        model, batch = self._fitted(), self._batch()
        if not isinstance(model, Codec):
            raise SkipTest("It is no codec.")
        frozen = pickle.dumps(model.decoder())
        payloads = list(model.encoder()(batch))
        expected = np.asarray(model.decoder()(payloads))
        rebuilt = np.asarray(pickle.loads(frozen)(payloads[::-1]))[::-1]
        require(same(expected, rebuilt, TOLERANCE), "the decoder knows more than the payloads")


def _or_none(value: float | None, form: str, otherwise: str) -> str:
    return otherwise if value is None else form.format(value)


@contextmanager
def _asking(device: str) -> Iterator[None]:
    """Ask for a device as a user does."""
    before = os.environ.get("WBENCH_DEVICE")
    os.environ["WBENCH_DEVICE"] = device
    try:
        yield
    finally:
        if before is None:
            del os.environ["WBENCH_DEVICE"]
        else:
            os.environ["WBENCH_DEVICE"] = before


@contextmanager
def _heard() -> Iterator[list[logging.LogRecord]]:
    """What is logged about devices, kept from the user: it is this suite that asks for one, not they."""
    records: list[logging.LogRecord] = []
    logger = logging.getLogger(placed.__module__)

    def keep(record: logging.LogRecord) -> bool:
        records.append(record)
        return False

    logger.addFilter(keep)
    try:
        yield records
    finally:
        logger.removeFilter(keep)
