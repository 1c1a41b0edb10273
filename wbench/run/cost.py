"""What a fitted model costs per answer: latency at batch 1 and 64, floating-point operations; within a short time.

Measured beside the prediction pass, on samples of the test part whose answers are thrown away. Nothing here reaches a
score, a digest or a random number.
"""

from __future__ import annotations

import logging
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from wbench.errors import ModelError
from wbench.heads.trained import PASS
from wbench.machine import asked_device, out_of_memory, release_memory, resolve_device
from wbench.model import Codec, Model, Predictor
from wbench.task.base import Task
from wbench.task.batch import Batch
from wbench.task.part import concatenate

__all__ = [
    "BATCHES",
    "CallCost",
    "answering",
    "call_costs",
    "counted_flops",
    "first_samples",
    "model_costs",
    "placed",
    "so_many",
    "together",
    "whole_passes",
]

_log = logging.getLogger(__name__)

#: Sizes of the batches that are timed.
BATCHES: Final = (1, 64)
#: Calls that the median is taken of, at most.
CALLS: Final = 7
#: Longest call: so many seconds, or this share of what the model needed for its result, if that is more. Calls are
#: repeated within a quarter of it.
LEAST_S: Final = 1.0
SHARE: Final = 0.02


@dataclass(frozen=True)
class CallCost:
    """Latencies in s at batch 1 and 64, operations per sample; None where it was not measured."""

    latency_1_s: float | None = None
    latency_64_s: float | None = None
    flops_per_sample: float | None = None


def model_costs(model: Model, task: Task, sample_s: float, total_s: float, *, least_s: float = LEAST_S) -> CallCost:
    """Time and count calls of a fitted model: those of :func:`call_costs` on samples of the test part."""
    answer, batch = answering(model), first_samples(task)
    size = whole_passes(getattr(model, "embedder", model))
    return call_costs(lambda count: answer(so_many(batch, count)), size, sample_s, total_s, least_s=least_s)


def call_costs(
    answer: Callable[[int], Any], size: int, sample_s: float, total_s: float, *, least_s: float = LEAST_S
) -> CallCost:
    """Time and count calls.

    Parameters
    ----------
    answer : callable
        ``answer(count)``: a call with so many samples.
    size : int
        Samples of the call whose operations are counted.
    sample_s : float
        Time per sample, as far as it is known: what would take too long is not begun.
    total_s : float
        Time that the model needed for its result.
    least_s : float
        A call that would take longer than this, and longer than :data:`SHARE` of ``total_s``, is not made.
    """
    allowed = max(least_s, SHARE * total_s)
    latency: dict[int, float | None] = {}
    for count in BATCHES:
        # A codec's time has the start of the decoder's process in it; 64 calls with one sample bound one with 64.
        each = min(sample_s, latency.get(1) or sample_s)
        latency[count] = None if count * each > allowed else _median_s(answer, count, allowed / 4)
    affordable = size * min(sample_s, latency.get(1) or sample_s) <= allowed
    flops = _flops(answer, size) if affordable and "torch" in sys.modules else 0
    return CallCost(latency[1], latency[64], flops / size if flops else None)


def together(embedder: CallCost, head: CallCost) -> CallCost:
    """One call after the other: an embedder whose features are kept, and its head."""
    one, many = (
        None if a is None or b is None else a + b
        for a, b in ((embedder.latency_1_s, head.latency_1_s), (embedder.latency_64_s, head.latency_64_s))
    )
    flops = (embedder.flops_per_sample or 0.0) + (head.flops_per_sample or 0.0)
    return CallCost(one, many, flops or None)


def _flops(answer: Callable[[int], Any], count: int) -> int:
    """Operations of a call, 0 if the memory does not suffice for one."""
    try:
        return counted_flops(lambda: answer(count))
    except Exception as error:
        if not out_of_memory(error):
            raise
        release_memory()
        return 0


def first_samples(task: Task) -> Batch:
    """The first samples of the test part, 64 at most."""
    return concatenate(list(task.pairs("test", task.ids("test")[: BATCHES[-1]])))[0]


def so_many(batch: Batch, count: int) -> Batch:
    """So many samples; where there are fewer, some come again."""
    return batch.rows(np.resize(np.arange(len(batch)), count))


def whole_passes(network: Any) -> int:
    """Samples whose operations are counted: whole passes of a network that always takes so many, and of our heads."""
    size = int(getattr(network, "samples_per_pass", PASS))
    both = math.lcm(size, PASS)
    return both if both <= 8 * PASS else size


def placed(model: Model) -> str:
    """Move a model that is set up to the device that was asked for, and say where it is (``cpu``, ``cuda:0``).

    Without a GPU it stays on the CPU, with a note in the log. Models without a PyTorch network stay there anyway.
    """
    device, note = resolve_device(asked_device())
    if note:
        _log.warning("%s: %s", model.info.name, note)
    if device == "cpu":
        return device
    model.move(device)
    module = getattr(getattr(model, "embedder", model), "module", None)
    weights = None if module is None else next(iter(module.parameters()), None)
    return "cpu" if weights is None else str(weights.device)


def answering(model: Model) -> Callable[[Batch], Any]:
    """From observations to answers, in this process: encoder and decoder of a codec.

    Raises
    ------
    ModelError
        It is neither a predictor nor a codec.
    """
    if isinstance(model, Codec):
        encode, decode = model.encoder(), model.decoder()
        return lambda batch: decode(list(encode(batch)))
    if isinstance(model, Predictor):
        return model.predict
    raise ModelError("The model cannot answer.", where=model.info.name)


def _median_s(answer: Callable[[int], Any], count: int, budget_s: float) -> float | None:
    """Median time of a call, the first of which warms up; None if the memory does not suffice."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) <= CALLS and (not times or time.perf_counter() - began < budget_s):
        start = time.perf_counter()
        try:
            answer(count)
        except Exception as error:
            if not out_of_memory(error):
                raise
            release_memory()
            return None
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)


def counted_flops(call: Callable[[], Any]) -> int:
    """Multiplications and additions of PyTorch's matrix products, convolutions, attentions and recurrent layers.

    By :class:`torch.utils.flop_counter.FlopCounterMode`, with what it leaves out on the CPU: fused attention and fused
    LSTM layers; the fused inference path of ``nn.TransformerEncoder`` is taken apart meanwhile.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]

    def recurrent(x: Any, input_weight: Any, state_weight: Any, *_: Any, **__: Any) -> int:
        # [time, n, d] or [n, time, d]: each weight is used once per sample and step
        return int(2 * x[0] * x[1] * (np.prod(input_weight) + np.prod(state_weight)))

    formulas = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention,
        torch.ops.aten.mkldnn_rnn_layer: recurrent,
    }
    with _unfused(), FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        call()
    return int(counter.get_total_flops())


@contextmanager
def _unfused() -> Iterator[None]:
    import torch

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
