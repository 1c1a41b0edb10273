"""Choosing one number of a codec on the first samples of the validation part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Codec, Decoder, Payload, TrainingData
from wbench.tuning import Search, nmse_db
from wbench_baselines.codecs.measurement import Measurement

__all__ = ["choose", "choose_among"]

T = TypeVar("T", float, int)


def choose_among(
    model: Codec,
    name: str,
    candidates: Sequence[T],
    decode: Callable[[Sequence[Payload]], Iterable[npt.NDArray[Any]]],
    measurement: Measurement,
    val: TrainingData,
    samples: int,
) -> T:
    """Candidate with the smallest total squared error, i.e. the smallest NMSE (ratio of sums); the first of equals.

    Parameters
    ----------
    model : Codec
        Whose search this is; it is recorded in its ``searches``.
    name : str
        What is chosen.
    candidates : sequence of number
        At most 32.
    decode : callable
        Payloads → one reconstruction complex [n, ...] per candidate, one at a time.
    measurement : Measurement
        The encoder.
    val : TrainingData
        Validation part.
    samples : int
        At most so many of its samples.

    Raises
    ------
    ModelError
        The validation part is empty, or there are too many candidates.
    """
    if not len(val):
        raise ModelError("A reconstruction is tuned on validation samples.", why="there are none")
    batch, truth = next(iter(val.batches(samples)))
    search = Search(model.info.name, "nmse_ros_db", samples=samples)
    clean = truth["H"]
    power = float(np.sum(np.abs(clean) ** 2, dtype=np.float64))
    for one, answer in zip(candidates, decode(measurement(batch)), strict=True):
        error = float(np.sum(np.abs(answer - clean) ** 2, dtype=np.float64))
        search.add(nmse_db(error, power), {name: one})
    model.searches = (search,)
    return candidates[search.best]


def choose(
    model: Codec,
    name: str,
    candidates: Sequence[T],
    decoder: Callable[[T], Decoder],
    measurement: Measurement,
    val: TrainingData,
    samples: int,
) -> T:
    """The same with one decoder per candidate."""

    def every(sent: Sequence[Payload]) -> Iterable[npt.NDArray[Any]]:
        return (decoder(one)(sent) for one in candidates)

    return choose_among(model, name, candidates, every, measurement, val, samples)
