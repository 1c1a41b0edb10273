"""Results beside one another: they must be of the same test samples, and no two models give the same answers."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from wbench.errors import WBenchError
from wbench.result import Result
from wbench_leaderboard.submission.checks import Options, Submission
from wbench_leaderboard.submission.report import Report

__all__ = ["check_answers", "check_test_parts"]

#: Relative difference of all replicates up to which two models gave the same answers, but for a few last bits.
SAME: Final = 1e-6
#: Up to here a person should look: independent models are further apart somewhere in a hundred replicates.
NEAR: Final = 1e-3
#: On equivalent data a decision of the simulator may flip a sample to another slice or side.
FLIPS: Final = 1e-3
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
    # Both were held against the published fingerprint: where one of them is not the same bits, a sample may flip.
    same = all(one.verdict == "identical" for one in (*result.datasets, *other.datasets))
    if _apart(result.n_test, other.n_test, same):
        yield f"{result.n_test}, not {other.n_test}"
    known = {(score.metric, score.slice): score for score in other.scores}
    for score in result.scores:
        expected = known.pop((score.metric, score.slice), None)
        where = f"{score.metric}@{score.slice}"
        if expected is None and f"{where}" not in other.skipped:
            yield f"{where} is no score of the task"
        elif expected is not None and _apart(score.n, expected.n, same):
            yield f"{where} is of {score.n}, not {expected.n}"
        elif expected is not None and len(score.replicates) != len(expected.replicates):
            yield f"{where} has {len(score.replicates)} replicates, not {len(expected.replicates)}"
    for metric, slice_ in known:
        if f"{metric}@{slice_}" not in result.skipped or slice_ in ("ranked", "all"):
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


@dataclass
class _Answers:
    """Answers of one edition that were seen: by digest, and by primary score, to find neighbours."""

    digests: dict[str, tuple[Submission, str]] = field(default_factory=dict)
    values: list[tuple[float, int]] = field(default_factory=list)
    results: list[tuple[Submission, str, npt.NDArray[np.float64]]] = field(default_factory=list)

    def nearest(self, replicates: npt.NDArray[np.float64], value: float, model: str) -> tuple[float, str] | None:
        """How near another model's replicates are, relative to them, and whose; None if nobody is near."""
        best: tuple[float, str] | None = None
        reach = NEAR * max(1.0, abs(value))
        for _, index in self.values[bisect_left(self.values, (value - reach, -1)) :]:
            submission, place, other = self.results[index]
            if self.values and abs(other[-1] - value) > reach:
                break
            if submission.manifest.model == model or len(other) != len(replicates):
                continue
            apart = float(np.max(np.abs(other - replicates) / np.maximum(1.0, np.abs(replicates))))
            if apart <= NEAR and (best is None or apart < best[0]):
                best = apart, f"{submission.name}/{place}"
        return best

    def keep(self, submission: Submission, path: str, replicates: npt.NDArray[np.float64], value: float) -> None:
        """Remember a result for those that come later."""
        insort(self.values, (value, len(self.results)))
        self.results.append((submission, path, replicates))


def check_answers(submissions: Sequence[Submission], fresh: set[str], options: Options, report: Report) -> None:
    """One model's answers under another's name: by their digest, and by what is left when one group is left out."""
    seen: dict[Key, _Answers] = {}
    for submission, path, result, key in _ordered(submissions, fresh):
        model, new = submission.manifest.model, submission.name in fresh
        answers = seen.setdefault(key, _Answers())
        other, place = answers.digests.setdefault(result.predictions.digest, (submission, path))
        found = None if other.manifest.model == model else (0.0, f"{other.name}/{place}")
        score = next((one for one in result.scores if one.metric == result.task.primary and one.replicates), None)
        if score is not None:
            replicates = np.array([*score.replicates, score.value])
            if new and found is None:
                found = answers.nearest(replicates, score.value, model)
            answers.keep(submission, path, replicates, score.value)
        if found is None or not new:
            continue
        apart, whose = found
        if apart > SAME:
            report.add("warning", submission.where(path), f"nearly the same answers as {whose}")
            continue
        ours = options.maintainer or model.partition("/")[0] == whose.partition("__")[0]
        text = f"the same answers as {whose}: identical to another model"
        report.add("warning" if ours else "error", submission.where(path), text)
