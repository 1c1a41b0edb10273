"""Results beside one another: they must be of the same test samples, and no two models give the same answers."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.dataset.verdict import FLIPS
from wbench.errors import WBenchError
from wbench.result import Result
from wbench_leaderboard.submission.checks import Options, Submission
from wbench_leaderboard.submission.report import Report

__all__ = ["check_answers", "check_test_parts"]

#: Relative difference of all scores and replicates up to which answers are the same, but for a few last bits.
SAME: Final = 1e-6
#: Up to here a person should look: independent models are further apart somewhere in a hundred replicates.
NEAR: Final = 1e-3
Key = tuple[object, ...]


def _ordered(submissions: Sequence[Submission], fresh: set[str]) -> Iterator[tuple[Submission, str, Result, Key]]:
    """Every result that a new one can be held against, the published ones first: what came later is the copy."""
    asked = {_edition(result) for one in submissions if one.name in fresh for result in one.results.values()}
    for submission in sorted(submissions, key=lambda one: (one.name in fresh, one.name)):
        for path, result in submission.results.items():
            key = _edition(result)
            if key in asked:
                yield submission, path, result, key


def _edition(result: Result) -> Key:
    """What two results share if they can be compared."""
    data = tuple(sorted((one.recipe, one.spec_digest, one.split_digest) for one in result.datasets))
    return result.task.name, result.task.digest, result.task.size, result.task.season, data


def check_test_parts(submissions: Sequence[Submission], fresh: set[str], options: Options, report: Report) -> None:
    """A result is of the same test samples, slices and clusters as those that are published for its task."""
    first: dict[Key, Result] = {}
    columns: dict[Key, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}
    for submission, path, result, key in _ordered(submissions, fresh):
        other = first.setdefault(key, result)
        if submission.name in fresh and other is not result:
            for text in _differences(result, other):
                report.error(submission.where(path), f"other test samples than {other.model.name}: {text}")
        if submission.name not in fresh and key in columns:
            continue  # published columns were checked when they came: one of them is enough
        try:
            own = submission.columns(path, options)
        except WBenchError:
            continue  # said where the submission is checked by itself
        if own is None:
            continue
        ids, clusters = columns.setdefault(key, (own.id, own.cluster))
        if submission.name in fresh and _moved(own.id, own.cluster, ids, clusters):
            report.error(
                submission.where(path), "other test samples than other results: ids or clusters of its columns"
            )


def _differences(result: Result, other: Result) -> Iterator[str]:
    # On equivalent data a decision of the simulator may flip a sample to another slice or side.
    same = all(one.verdict == "identical" for one in (*result.datasets, *other.datasets))
    if _apart(result.n_test, other.n_test, same):
        yield f"{result.n_test}, not {other.n_test}"
    known = {(score.metric, score.slice): score for score in other.scores}
    for score in result.scores:
        expected = known.pop((score.metric, score.slice), None)
        where = f"{score.metric}@{score.slice}"
        if expected is None:
            if where not in other.skipped and _apart(score.n, 0, same):
                yield f"{where} is no score of the task"
        elif _apart(score.n, expected.n, same):
            yield f"{where} is of {score.n}, not {expected.n}"
        elif len(score.replicates) != len(expected.replicates):
            yield f"{where} has {len(score.replicates)} replicates, not {len(expected.replicates)}"
    for (metric, slice_), score in known.items():
        left_out = f"{metric}@{slice_}" in result.skipped and slice_ not in ("ranked", "all")
        if not left_out and _apart(0, score.n, same):
            yield f"{metric}@{slice_} is missing"


def _apart(count: int, other: int, same: bool) -> bool:
    return abs(count - other) > (0 if same else max(1.0, FLIPS * other))


def _moved(
    ids: npt.NDArray[np.int64],
    clusters: npt.NDArray[np.int64],
    other_ids: npt.NDArray[np.int64],
    other_clusters: npt.NDArray[np.int64],
) -> bool:
    """Whether more samples than a flip or two are others, or lie in other clusters."""
    _, here, there = np.intersect1d(ids, other_ids, assume_unique=True, return_indices=True)
    agree = int((clusters[here] == other_clusters[there]).sum())
    return max(len(ids), len(other_ids)) - agree > max(1.0, FLIPS * len(other_ids))


@dataclass(frozen=True)
class _Seen:
    """Answers that were seen: where, of what kind of model, their digest, and all that is ranked by them or beside."""

    submission: Submission
    path: str
    digest: str
    trivial: bool
    value: float
    numbers: npt.NDArray[np.float64]

    @classmethod
    def of(cls, submission: Submission, path: str, result: Result) -> _Seen:
        """Numbers are every metric's value and replicates; none where the primary metric has no replicates."""
        ranked = sorted((one for one in result.scores if one.slice == "ranked"), key=lambda one: one.metric)
        primary = next((one for one in ranked if one.metric == result.task.primary and one.replicates), None)
        numbers = np.array([x for one in ranked if primary for x in (one.value, *one.replicates)])
        trivial = result.model.kind == "trivial"
        value = primary.value if primary else 0.0
        return cls(submission, path, result.predictions.digest, trivial, value, numbers)

    @property
    def model(self) -> str:
        """Whose they are."""
        return self.submission.manifest.model

    def apart(self, other: _Seen) -> float:
        """Largest relative difference of the numbers; decisions alone often agree, so it is over all metrics."""
        if self.digest == other.digest:
            return 0.0
        if len(self.numbers) != len(other.numbers) or not len(self.numbers):
            return np.inf
        scale = np.maximum(1.0, np.abs(self.numbers))
        return float(np.max(np.abs(other.numbers - self.numbers) / scale))


@dataclass
class _Answers:
    """Answers of one edition that were seen: by digest and model, and by primary score, to find neighbours."""

    digests: dict[str, dict[str, _Seen]] = field(default_factory=dict)
    values: list[tuple[float, int]] = field(default_factory=list)
    seen: list[_Seen] = field(default_factory=list)

    def nearest(self, new: _Seen) -> tuple[float, _Seen] | None:
        """The nearest answers of another model and how far they are, None if nobody is near.

        Among those that are the same a trivial model's come first: to do no better than that is no theft.
        """
        near = list(self.digests.get(new.digest, {}).values())
        reach = NEAR * max(1.0, abs(new.value))
        for place in range(bisect_left(self.values, (new.value - reach, -1)), len(self.values)):
            value, index = self.values[place]
            if value > new.value + reach:
                break
            near.append(self.seen[index])
        found = [(new.apart(one), one) for one in near if one.model != new.model]
        best = min(found, key=lambda one: (one[0] > SAME, not one[1].trivial, one[0]), default=None)
        return best if best is not None and best[0] <= NEAR else None

    def keep(self, one: _Seen) -> None:
        """Remember answers for those that come later."""
        self.digests.setdefault(one.digest, {}).setdefault(one.model, one)
        if len(one.numbers):
            insort(self.values, (one.value, len(self.seen)))
            self.seen.append(one)


def check_answers(submissions: Sequence[Submission], fresh: set[str], options: Options, report: Report) -> None:
    """One model's answers under another's name: by their digest, and by what is left when one group is left out."""
    known: dict[Key, _Answers] = {}
    for submission, path, result, key in _ordered(submissions, fresh):
        answers, new = known.setdefault(key, _Answers()), _Seen.of(submission, path, result)
        found = answers.nearest(new) if submission.name in fresh else None
        answers.keep(new)
        if found is None:
            continue
        apart, other = found
        whose, where = other.submission.where(other.path), submission.where(path)
        if apart > SAME:
            report.add("warning", where, f"nearly the same answers as {whose}")
            continue
        ours = options.maintainer or new.model.partition("/")[0] == other.model.partition("/")[0]
        text = f"the same answers as {whose}: identical to {'a trivial' if other.trivial else 'another'} model"
        report.add("warning" if ours or other.trivial else "error", where, text)
