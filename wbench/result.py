"""The result file: one immutable JSON per (task, size, model, regime, head, budget, draw, seed) and its predictions.

Version 2 of the schema adds few-shot parts, fine-tuned layers, the head's version and the number of trained parameters;
version 3 floating-point operations, latencies, peaks of memory and the number of pre-training samples. Older versions
are read as well: what they do not have is None.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from wbench.errors import ResultError
from wbench.saving import replacing
from wbench.tuning import Value

__all__ = [
    "RESULT_SCHEMA_VERSION",
    "CostRecord",
    "DatasetRecord",
    "Interval",
    "ModelRecord",
    "PredictionsRecord",
    "Regime",
    "Result",
    "Score",
    "TaskRecord",
    "read_result",
    "read_results",
    "write_result",
]

RESULT_SCHEMA_VERSION = 3
Regime = Literal["none", "head", "fine-tune", "full"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(_Record):
    """95 % interval by the delete-a-group jackknife with Student's t."""

    low: FiniteFloat
    high: FiniteFloat
    level: FiniteFloat = 0.95
    groups: int
    effective_groups: FiniteFloat


class Score(_Record):
    """One metric on one slice of the test part.

    ``slice`` is ``"ranked"`` (what the table ranks by), ``"all"``, or ``column=value``. ``replicates`` are the
    values with one group of clusters left out, the same groups for every model: paired comparisons use them.
    ``tie_rate`` is the share of samples that hang on how a tie is broken (pessimistically), None without ties.
    """

    metric: str
    metric_version: int
    unit: str
    higher_is_better: bool
    slice: str
    value: FiniteFloat
    n: int
    interval: Interval | None = None
    tie_rate: FiniteFloat | None = None
    replicates: tuple[FiniteFloat, ...] = ()


class TaskRecord(_Record):
    """The task instance that was scored.

    ``season`` is the public name of the season whose hidden dataset was the test part (split rule S6), empty for the
    published one.
    """

    name: str
    version: int
    digest: str
    family: str
    kind: str
    primary: str
    size: str
    season: str = ""


class DatasetRecord(_Record):
    """One dataset behind the views.

    ``verdict`` says whether it is the published dataset, by its fingerprint; None where no fingerprint is installed.
    ``worst_db`` is then the largest relative difference of a sample, None where there is none. What is *different*
    cannot be ranked.
    """

    recipe: str
    spec_digest: str
    content_digest: str
    split_digest: str
    verdict: Literal["identical", "equivalent", "different"] | None = None
    worst_db: FiniteFloat | None = None


class ModelRecord(_Record):
    """What the model declared, and after fitting its parameters and how many of them were trained here.

    ``chosen`` is what fitting chose on validation (a regulariser, an order), empty if it chose nothing.
    """

    name: str
    revision: str
    kind: str
    summary: str = ""
    source: str = ""
    licence: str = ""
    parameters: int = 0
    trained_parameters: int | None = None
    trains: bool = False
    pretraining: tuple[str, ...] = ()
    pretraining_samples: int | None = Field(default=None, ge=0)
    overlap: str = "none"
    chosen: dict[str, Value] = {}


class CostRecord(_Record):
    """What a result cost, on the named device; payload bits of codecs.

    ``fit_s`` and ``predict_s`` are the model's time; features that were made before count with what making them took.
    ``wall_s`` is all that the harness needed for the result, observations and scoring as well.

    ``latency_1_s`` and ``latency_64_s`` are medians of a few calls with 1 and with 64 samples, from observation to
    answer (encoder and decoder of a codec), None where a call would have taken too long (see ``predict_s``).
    ``flops_per_sample`` counts the multiplications and additions, two per weight and use, of PyTorch's matrix products,
    convolutions, attentions and recurrent layers in such a call; None of a model that makes none in PyTorch.
    ``peak_memory_bytes`` is the largest resident memory of the whole process meanwhile, with Python, its libraries and
    the task's samples; ``peak_device_bytes`` what PyTorch took of a GPU's.
    """

    fit_s: FiniteFloat = 0.0
    predict_s: FiniteFloat = 0.0
    wall_s: FiniteFloat | None = None
    predict_samples: int = 0
    device: str = "cpu"
    payload_bits_mean: FiniteFloat | None = None
    payload_bits_max: int | None = None
    latency_1_s: FiniteFloat | None = Field(default=None, ge=0)
    latency_64_s: FiniteFloat | None = Field(default=None, ge=0)
    flops_per_sample: FiniteFloat | None = Field(default=None, ge=0)
    peak_memory_bytes: int | None = Field(default=None, ge=0)
    peak_device_bytes: int | None = Field(default=None, ge=0)


class PredictionsRecord(_Record):
    """The predictions file beside the result."""

    path: str
    digest: str
    bytes: int


class Result(_Record):
    """One finished evaluation.

    ``shots`` is the number of training samples of every class in a few-shot result; ``budget_percent`` is then the
    share of the training part that they are. ``layers`` is how many of the last layers were fine-tuned, None for all.
    """

    schema_version: int = RESULT_SCHEMA_VERSION
    task: TaskRecord
    datasets: tuple[DatasetRecord, ...]
    model: ModelRecord
    regime: Regime
    head: str | None = None
    head_version: int | None = None
    layers: int | None = None
    budget_percent: FiniteFloat = Field(gt=0, le=100)
    shots: int | None = Field(default=None, ge=1)
    draw: int = Field(ge=0)
    seed: int = Field(ge=0)
    n_train: int
    n_val: int
    n_test: int
    scores: tuple[Score, ...]
    skipped: dict[str, str] = {}
    calibration: dict[str, dict[str, FiniteFloat]] = {}
    cost: CostRecord
    predictions: PredictionsRecord
    provenance: dict[str, Any]

    def primary(self) -> Score:
        """The score that the board ranks by."""
        for score in self.scores:
            if score.metric == self.task.primary and score.slice == "ranked":
                return score
        raise ResultError("The result has no ranked score.", where=self.task.name)

    def score(self, metric: str, slice_: str = "ranked") -> Score | None:
        """Score of a metric and slice, None if there is none."""
        return next((s for s in self.scores if s.metric == metric and s.slice == slice_), None)


def write_result(result: Result, path: Path) -> None:
    """Write a result atomically: a file of that name is either absent or whole.

    Raises
    ------
    ResultError
        If it cannot be written. A failed save is an error, never a warning.
    """
    with replacing(path, "The result") as temporary:
        temporary.write_text(result.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_result(path: Path) -> Result:
    """Read and check one result file.

    Raises
    ------
    ResultError
        If the file is missing, is not JSON, breaks the schema or has a newer schema version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ResultError("The result cannot be read.", where=str(path), why=str(error)) from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > RESULT_SCHEMA_VERSION:
        raise ResultError(
            f"The result has schema version {version}, this wbench reads up to {RESULT_SCHEMA_VERSION}.",
            where=str(path),
            next_step="pip install --upgrade wbench",
        )
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultError("The result breaks the schema.", where=f"{path}: {place}", why=first["msg"]) from error


def read_results(folder: Path) -> list[Result]:
    """Read all results below a folder, in a fixed order.

    Raises
    ------
    ResultError
        If the folder does not exist, or a result in it is not valid.
    """
    if not folder.is_dir():
        raise ResultError("No such results folder.", where=str(folder), next_step="wbench evaluate --model … --task …")
    return [read_result(path) for path in sorted(folder.rglob("result.json"))]
