"""What a submitter says that no column shows: the data, how it was trained, what it cost, who made it.

Well-formed and still impossible, or free for the choosing: a budget, a seed or a season of one's own is a table of
one's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from wbench.heads import HEADS, FineTuned
from wbench.metric.base import Metric
from wbench.metric.catalogue import get_metric
from wbench.result import RESULT_SCHEMA_VERSION, Result
from wbench_leaderboard.submission.current import Current, has_fingerprint
from wbench_leaderboard.submission.wording import source_fault

__all__ = ["BUDGETS", "SHOTS", "false_claims", "gaps", "split_cards"]

#: Shares of the training part in percent, and samples of every class, that the protocol knows.
BUDGETS: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
SHOTS: Final = (1, 5, 10, 50)
#: No time, count or number of operations of a model is larger: beyond, it would only stretch everybody's axis.
MAX_COST: Final = 1e18
#: No model answers a sample in less: logarithmic axes begin where the smallest one is. The fastest here needs 5e-8 s.
MIN_TIME_S: Final = 1e-12
#: Further slices are values of a few columns: scenes, speeds, SNRs.
MAX_SCORES: Final = 250
#: What `wbench evaluate` writes of the machine; anything else there would stand on the model's page in its words.
PROVENANCE: Final = frozenset({"wbench", "git", "packages", "machine", "command"})
#: What one revision says of itself, whatever the task.
SAID: Final = ("kind", "summary", "source", "licence", "pretraining", "pretraining_samples", "overlap")
_SEEN: Final = ("pretraining", "overlap")
_CHOSEN: Final = frozenset({"threshold", "calibrated"})


def false_claims(result: Result, now: Current, *, maintainer: bool = False) -> Iterator[str]:
    """What cannot be true of a current result, or is not the submitter's to say, one line each."""
    yield from _data(result, now, maintainer)
    yield from _training(result, now)
    yield from _calibration(result, now)
    yield from _cost(result)
    yield from _words(result)


def _data(result: Result, now: Current, maintainer: bool) -> Iterator[str]:
    for record in result.datasets:
        verdict, apart = record.verdict, record.worst_db
        # An older result may be from before there was a fingerprint; a person is told of it (plausibility.unlikely).
        new = result.schema_version == RESULT_SCHEMA_VERSION and not maintainer
        if verdict is None and new and has_fingerprint(record.recipe, result.task.size):
            yield (
                f"the data of {record.recipe} were not held against the fingerprint that is published: "
                "remove the result and evaluate again"
            )
        # Equivalent data need not be apart: the samples of the fingerprint may be the same bits, and others not.
        if verdict in (None, "identical") and apart is not None:
            yield f"the data of {record.recipe} are {verdict or 'not compared'}, and {apart:g} dB apart"
    if result.n_test > now.samples("test"):
        yield f"{result.n_test} test samples, the dataset has {now.samples('test')}"
    if len(result.scores) > MAX_SCORES:
        yield f"too many scores: {len(result.scores)}, the limit is {MAX_SCORES}"
    for score in result.scores:
        if score.slice not in ("ranked", "all") and score.metric != now.spec.primary:
            yield f"{score.metric}@{score.slice}: the task has no such score, slices are of {now.spec.primary}"


def _training(result: Result, now: Current) -> Iterator[str]:
    model, budget, shots = result.model, result.budget_percent, result.shots
    trained = model.trained_parameters or 0
    if trained > model.parameters:
        yield f"{trained} trained parameters of {model.parameters}"
    if result.regime == "none" and (trained or model.trains or shots is not None):
        yield "a zero-shot result of a model that was trained here"
    if shots is not None and shots not in SHOTS:
        yield f"{shots} shots: a few-shot part has {', '.join(map(str, SHOTS))} samples of each class"
    budgets = sorted({*BUDGETS, *now.spec.budgets})
    if shots is None and budget not in budgets:
        yield f"a budget of {budget:g} %: there are {', '.join(f'{one:g}' for one in budgets)} %"
    if shots is None and budget == 100 and result.draw:
        yield f"draw {result.draw} of a training part that is not drawn"
    whole = now.samples("train")
    if shots is None and result.n_train > whole * budget / 100 + 1:
        yield f"{result.n_train} training samples are more than {budget:g} % of the {whole} of the dataset"
    if result.n_train > whole or result.n_val > now.samples("val"):
        yield f"{max(result.n_train, result.n_val)} training or validation samples are more than the dataset has"
    if result.head is not None and result.head in HEADS and result.schema_version > 1:
        # "full" is an embedder that trains itself, under a head, or one that is fine-tuned from random weights.
        head, tuned = HEADS[result.head].version, FineTuned.version
        versions = {"head": {head}, "fine-tune": {tuned}}.get(result.regime, {head, tuned})
        if result.head_version not in versions:
            known = " or ".join(map(str, sorted(versions)))
            yield f"the head {result.head} is version {known}, not {result.head_version}"


def _calibration(result: Result, now: Current) -> Iterator[str]:
    if result.regime == "none" and result.calibration:
        yield "a zero-shot result with something that was chosen on validation"
    for name, chosen in result.calibration.items():
        known = name in now.spec.metrics  # it may have no score: a test part of one class leaves it out
        if not known or type(get_metric(name)).calibrate is Metric.calibrate or set(chosen) - _CHOSEN:
            yield f"a calibration of {name} that the metric does not have"


def _cost(result: Result) -> Iterator[str]:
    cost, model = result.cost, result.model
    if cost.wall_s is not None and cost.wall_s < 0:
        yield "a time is negative"
    numbers = (cost.fit_s, cost.predict_s, cost.wall_s, cost.latency_1_s, cost.latency_64_s, cost.flops_per_sample)
    if max(*(one or 0 for one in numbers), model.parameters) > MAX_COST:
        yield f"a cost beyond {MAX_COST:g}"
    if 0 < cost.predict_s < MIN_TIME_S * cost.predict_samples:
        yield f"predictions of {cost.predict_samples} samples in {cost.predict_s:g} s"
    bits = cost.payload_bits_mean
    if bits is not None and 0 < bits < 0.999 / max(1, result.n_test):
        yield f"a mean payload of {bits:g} bits: a bit of {result.n_test} samples is more"
    if cost.predict_samples != result.n_test:
        yield f"predictions of {cost.predict_samples} samples were timed, there are {result.n_test} test samples"


def _words(result: Result) -> Iterator[str]:
    for text in (result.model.source, *result.model.pretraining):
        fault = source_fault(text)
        if fault:
            yield f"its source or pre-training: {fault}"
    unknown = sorted(set(result.provenance) - PROVENANCE)
    if unknown:
        yield f"provenance of {unknown[0]}: there are {', '.join(sorted(PROVENANCE))}"


def split_cards(results: Iterable[Result]) -> Iterator[str]:
    """What one revision says of itself in two ways: the board shows a model once."""
    first: dict[tuple[str, bool], object] = {}
    for result in results:
        scratch = result.regime == "full" and result.head is not None
        for field in SAID:
            # An embedder whose weights were drawn anew has seen nothing, and says so; an older schema says less.
            says = getattr(result.model, field)
            if says is not None and first.setdefault((field, scratch and field in _SEEN), says) != says:
                yield f"its results say two things of its {field.replace('_', ' ')}: raise the revision"
                return


def gaps(results: Iterable[Result]) -> Iterator[str]:
    """Seeds and draws that were left out: who may choose among many, chooses the best ones."""
    cells: dict[tuple[object, ...], dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for one in results:
        part = f"{one.budget_percent:g} %" if one.shots is None else f"{one.shots} of each class"
        made = (one.task.name, one.task.version, one.task.size, one.task.season, one.regime, one.head, one.layers, part)
        cells[made][one.draw].add(one.seed)
    for key, draws in cells.items():
        where = f"{key[0]} ({key[2]}), {key[4]} at {key[-1]}"
        if set(draws) != set(range(len(draws))):
            yield f"{where}: draws {_listed(draws)}; all from 0 on belong to it"
        for draw, seeds in sorted(draws.items()):
            if seeds != set(range(len(seeds))):
                yield f"{where}, draw {draw}: seeds {_listed(seeds)}; all from 0 on belong to it"
                break


def _listed(numbers: Iterable[int]) -> str:
    ordered = sorted(numbers)
    return ", ".join(map(str, ordered[:6])) + (", …" if len(ordered) > 6 else "")
