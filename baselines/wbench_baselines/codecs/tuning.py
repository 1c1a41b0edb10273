"""Choosing one number of a codec on the validation part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from wbench.errors import ModelError
from wbench.model import Decoder, Payload, TrainingData
from wbench_baselines.codecs.measurement import Measurement

__all__ = ["choose", "validation_errors"]

T = TypeVar("T")


def validation_errors(
    measurement: Measurement,
    val: TrainingData,
    samples: int,
    decode: Callable[[Sequence[Payload]], Iterable[npt.NDArray[Any]]],
) -> list[float]:
    """Total squared error of several reconstructions of the first validation samples.

    Parameters
    ----------
    measurement : Measurement
        The encoder.
    val : TrainingData
        Validation part.
    samples : int
        At most so many of its samples.
    decode : callable
        Payloads → one reconstruction complex [n, ...] per candidate, one at a time.

    Raises
    ------
    ModelError
        The validation part is empty.
    """
    if not len(val):
        raise ModelError("A reconstruction is tuned on validation samples.", why="there are none")
    batch, truth = next(iter(val.batches(samples)))
    found = decode(measurement(batch))
    return [float(np.sum(np.abs(answer - truth["H"]) ** 2, dtype=np.float64)) for answer in found]


def choose(
    candidates: Sequence[T],
    decoder: Callable[[T], Decoder],
    measurement: Measurement,
    val: TrainingData,
    samples: int,
) -> T:
    """Candidate with the smallest total squared error, i.e. the smallest NMSE (ratio of sums); the first of equals."""
    errors = validation_errors(measurement, val, samples, lambda sent: (decoder(one)(sent) for one in candidates))
    return candidates[int(np.argmin(errors))]
