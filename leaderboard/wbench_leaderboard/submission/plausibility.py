"""What cannot be, or hardly can: scores beyond their bounds, counts that do not add up, better than an oracle."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from wbench.heads.catalogue import HEADS
from wbench.metric.catalogue import get_metric, metric_names
from wbench.result import Result, Score
from wbench.stats.jackknife import MIN_GROUPS, jackknife_variance, t_interval
from wbench_leaderboard.submission.columns import close
from wbench_leaderboard.submission.current import Current

__all__ = ["implausible", "is_perfect", "oracles", "too_good", "unlikely"]

_SLICE = re.compile(r"ranked|all|[a-z][a-z0-9_]{0,40}=[^\s=][^=]{0,60}")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
#: Predictions and targets are single precision: an error below this is no error of an estimate.
PERFECT_DB = -110.0
#: A perfect score on fewer samples may be luck.
PERFECT_SAMPLES = 20
LEVEL = 0.95


def implausible(result: Result, now: Current) -> Iterator[str]:
    """What cannot be true of a current result, one line each."""
    yield from _identity(result, now)
    yield from _counts(result, now)
    seen: set[tuple[str, str]] = set()
    for score in result.scores:
        if (score.metric, score.slice) in seen:
            yield f"{score.metric}@{score.slice} stands there twice"
        seen.add((score.metric, score.slice))
        yield from _score(score, result, now)
    for metric in now.spec.metrics:
        for slice_ in ("ranked", "all"):
            if (metric, slice_) not in seen and f"{metric}@{slice_}" not in result.skipped:
                yield f"{metric}@{slice_} is missing"


def _identity(result: Result, now: Current) -> Iterator[str]:
    task, spec = result.task, now.spec
    if (task.family, task.kind, task.primary) != (spec.family, spec.kind, spec.primary):
        yield f"the task is {spec.family}, {spec.kind}, ranked by {spec.primary}"
    if any(not _SHA256.fullmatch(record.content_digest) for record in result.datasets):
        yield "a content digest is not one"
    if any(record.verdict == "different" for record in result.datasets):
        yield "its data are different from the published dataset"
    if not _SHA256.fullmatch(result.predictions.digest):
        yield "the digest of the predictions is not one"
    head, regime = result.head, result.regime
    if head is not None and head not in HEADS:
        yield f"there is no head {head!r}"
    if (regime in ("head", "fine-tune")) > (head is not None) or (regime == "none") > (head is None):
        yield f"regime {regime} with head {head}"
    if result.layers is not None and (regime != "fine-tune" or result.layers < 1):
        yield "layers belong to fine-tuning, and are at least 1"
    if result.model.overlap not in ("none", "generator", "scenario", "dataset"):
        yield f"there is no overlap {result.model.overlap!r}"
    if result.model.kind not in ("trivial", "classical", "control", "network", "foundation", "user"):
        yield f"there is no kind of model {result.model.kind!r}"


def _counts(result: Result, now: Current) -> Iterator[str]:
    model, cost, limit = result.model, result.cost, now.spec.limit
    counts = (result.n_train, result.n_val, model.parameters, model.trained_parameters or 0, cost.predict_samples)
    if min(counts) < 0 or result.n_test < 1 or result.predictions.bytes < 1:
        yield "a count is negative, or there is no test sample"
    if min(cost.fit_s, cost.predict_s) < 0:
        yield "a time is negative"
    if result.regime == "none" and (result.n_train or result.budget_percent != 100):
        yield "a zero-shot result was trained on something"
    if result.regime != "none" and result.n_train < 1:
        yield "a trained result without training samples"
    bits = cost.payload_bits_mean, cost.payload_bits_max
    if now.spec.kind == "compress":
        if bits[0] is None or bits[1] is None or not 0 <= bits[0] <= bits[1]:
            yield "a codec's result without its payload, or with a mean beyond the largest"
        elif limit is not None and bits[1] > limit.max_bits:
            yield f"a payload of {bits[1]} bits, the limit is {limit.max_bits}"
    elif bits != (None, None):
        yield "a payload where nothing is sent"


def _score(score: Score, result: Result, now: Current) -> Iterator[str]:
    where = f"{score.metric}@{score.slice}"
    if score.metric not in now.spec.metrics or score.metric not in metric_names():
        yield f"{where}: not a metric of the task"
        return
    metric = get_metric(score.metric)
    if (score.unit, score.higher_is_better) != (metric.unit, metric.higher_is_better):
        better = "up" if metric.higher_is_better else "down"
        yield f"{where}: the metric is in {metric.unit or 'no unit'}, better {better}"
    if not _SLICE.fullmatch(score.slice):
        yield f"{where}: not the name of a slice"
    if not 1 <= score.n <= result.n_test or (score.slice == "all" and score.n != result.n_test):
        yield f"{where}: {score.n} of {result.n_test} samples"
    if score.tie_rate is not None and not 0 <= score.tie_rate <= 1:
        yield f"{where}: a tie rate of {score.tie_rate:g}"
    low, high = metric.bounds
    values = (score.value, *score.replicates)
    if not all(low - 1e-9 <= value <= high + 1e-9 for value in values):
        yield f"{where}: beyond the metric's bounds [{low:g}, {high:g}]"
    yield from _interval(score, where, metric.bounds)


def _interval(score: Score, where: str, bounds: tuple[float, float]) -> Iterator[str]:
    """The interval must be the one that follows from the replicates."""
    found, count = score.interval, len(score.replicates)
    if score.slice != "ranked" and count:
        yield f"{where}: replicates are of the ranked slice only"
    if found is None:
        if count >= MIN_GROUPS:
            yield f"{where}: {count} replicates without an interval"
        return
    if found.level != LEVEL or found.groups < MIN_GROUPS or not 1 <= found.effective_groups <= found.groups + 1e-6:
        yield f"{where}: not a 95 % interval over at least {MIN_GROUPS} groups"
        return
    if not found.low <= score.value <= found.high:
        yield f"{where}: the value lies outside its interval"
    if score.slice != "ranked":
        return
    if count != found.groups:
        yield f"{where}: {count} replicates for an interval over {found.groups} groups"
        return
    with np.errstate(all="ignore"):  # what overflows is no interval of anything
        se = float(np.sqrt(jackknife_variance(np.array(score.replicates))))
        low, high = np.clip(t_interval(score.value, se, count, LEVEL), *bounds).tolist()
    if not (close(low, found.low) and close(high, found.high)):
        yield f"{where}: the interval does not follow from the replicates"


def is_perfect(score: Score) -> bool:
    """Whether a score says that predictions equal targets."""
    metric = get_metric(score.metric)
    if metric.unit == "dB" and not metric.higher_is_better and metric.bounds[0] < 0:
        return score.value <= PERFECT_DB
    return score.value == metric.bounds[1 if metric.higher_is_better else 0]


def too_good(result: Result) -> Iterator[str]:
    """Better than can be: a perfect score, or one beyond an oracle. Only a maintainer can let it pass."""
    primary = result.primary()
    if is_perfect(primary) and primary.n >= PERFECT_SAMPLES and result.task.size != "tiny":
        yield f"a perfect {primary.metric} on {primary.n} samples: predictions equal to the targets?"
    for row in oracles():
        asked = (result.task.name, result.task.version, result.task.size, primary.metric)
        if (row["task"], row["version"], row["size"], row["metric"]) != asked:
            continue
        sign = 1 if primary.higher_is_better else -1
        if sign * (primary.value - row["value"]) > 0:
            yield f"{primary.metric} {primary.value:.4g} is better than the oracle's {row['value']:g} ({row['oracle']})"


@cache
def oracles() -> tuple[dict[str, Any], ...]:
    """Scores of methods that are told what no model can know, by task, version, size and metric."""
    text = files("wbench_leaderboard").joinpath("submission", "oracles.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["oracle"])


def unlikely(result: Result) -> Iterator[str]:
    """What a person should look at."""
    model = result.model
    if result.task.size == "tiny":
        yield "a tiny dataset is never ranked"
    if is_perfect(result.primary()) and result.task.size == "tiny":
        yield "a perfect score"
    recipes = {record.recipe for record in result.datasets}
    seen = [text for text in model.pretraining if any(recipe in text for recipe in recipes)]
    if seen and model.overlap in ("none", "generator"):
        yield f"pre-trained on {seen[0]!r} of this task, but its overlap says {model.overlap!r}: shown as in-domain"
    if model.kind == "foundation" and not model.pretraining:
        yield "a foundation model that does not say what it was pre-trained on"
    if any(record.verdict is None for record in result.datasets):
        yield "its data were not held against a published fingerprint"
    if not model.licence or not model.source:
        missing = " and no ".join(name for name in ("licence", "source") if not getattr(model, name))
        yield f"the model's info has no {missing}"
    for name in result.skipped:
        if name.partition("@")[2] in ("ranked", "all"):
            yield f"{name} is left out: {result.skipped[name]}"
