"""Hostile submissions, third part: well-formed and false, of the model, the test part and the evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers_submission import Made, lay, make, result_file, seal
from tests.hostile_corpus import XSS, case, manifest, put
from tests.hostile_files import CASES, Case, columns
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.columns import Columns

__all__ = ["CASES", "Case"]

# --- what the test part was -------------------------------------------------------------------------------------------
put("season_made_up", "season", lambda t: t["task"].update(season="0123456789ab"))
put("season_script", "season", lambda t: t["task"].update(season=XSS))
put("verdict_taken_back", "not held against", lambda t: t["datasets"][0].update(verdict=None, worst_db=None))
put("verdict_too_far", "apart", lambda t: t["datasets"][0].update(verdict="identical", worst_db=3.0))
put("verdict_of_nothing", "apart", lambda t: t["datasets"][0].update(verdict=None))
put("verdict_of_the_same_bits", "apart", lambda t: t["datasets"][0].update(verdict="identical", worst_db=-60.0))
put(
    "slice_made_up",
    "has no such score",
    lambda t: t["scores"].append(t["scores"][3] | {"slice": "x=1", "replicates": []}),
)
put("slices_without_end", "too many scores", lambda t: t["scores"].extend(_slices(t["scores"][0])))
columns("columns_ids_permuted", "do not rise", lambda c: c.update(id=c["id"][np.random.default_rng(0).permutation(40)]))
columns("columns_ids_of_nowhere", "the dataset has", lambda c: c.update(id=c["id"] * 10**6))
put("ties_hidden", "columns give", lambda t: t["scores"][3].update(tie_rate=0.5))


def _slices(score: dict[str, Any]) -> list[dict[str, Any]]:
    return [score | {"slice": f"x={index}", "replicates": []} for index in range(500)]


@case("stale")
def tiny_as_standard(folder: Path) -> None:
    _replace(folder, make(size="tiny"), task_size="standard")


@case("stale")
def standard_as_large(folder: Path) -> None:
    _replace(folder, make(), task_size="large")


def _replace(folder: Path, made: Made, task_size: str) -> None:
    """Another result in place of the valid one, at a size that is not its own."""
    task = made.result.task.model_copy(update={"size": task_size})
    result = made.result.model_copy(update={"task": task})
    _empty(folder)
    lay(folder.parents[1], Made(result, made.columns, made.predictions))


@case("other test samples")
def test_samples_left_out(folder: Path) -> None:
    lay(folder.parents[1], make("zoo/picky", seed=1, samples=36))


@case("other test samples")
def clusters_of_ones_own(folder: Path) -> None:
    """Every number follows from the columns; only the clusters are smaller, and with them the interval."""
    lay(folder.parents[1], make("zoo/narrow", seed=1, clusters=20))


@case("other test samples")
def ids_of_ones_own(folder: Path) -> None:
    lay(folder.parents[1], _moved(make("zoo/moved", seed=1)))


def _moved(made: Made) -> Made:
    old = made.columns
    return Made(made.result, Columns(old.id + 1, old.cluster, old.slices, old.tables), made.predictions)


@case("other test samples")
def score_hidden(folder: Path) -> None:
    """A metric that looks bad is said to be undefined."""
    made = make("zoo/shy", seed=1)
    scores = tuple(score for score in made.result.scores if score.metric != "auprc")
    skipped = {"auprc@ranked": "undefined", "auprc@all": "undefined"}
    old = made.columns
    tables = {name: table for name, table in old.tables.items() if name != "auprc"}
    result = made.result.model_copy(update={"scores": scores, "skipped": skipped})
    lay(folder.parents[1], Made(result, Columns(old.id, old.cluster, old.slices, tables), made.predictions))


@case("other test samples")
def slice_of_ones_own(folder: Path) -> None:
    """The model's best samples as a slice that only it has."""
    made = make("zoo/choosy", seed=1)
    score = made.result.scores[0].model_copy(update={"slice": "scene=best", "replicates": ()})
    old = made.columns
    columns_ = Columns(old.id, old.cluster, np.ones((len(old.id), 3), np.uint8), old.tables)
    result = made.result.model_copy(update={"scores": (*made.result.scores, score)})
    lay(folder.parents[1], Made(result, columns_, made.predictions))


# --- whose answers they are -------------------------------------------------------------------------------------------
def _copy(name: str, answers: Callable[[Any], Any]) -> None:
    def spoil(folder: Path) -> None:
        lay(folder.parents[1], make(f"zoo/{name.replace('_', '-')}", answers=answers))

    CASES.append(Case(name, spoil, "identical to another model"))


def _one_bit(values: Any) -> Any:
    values = values.copy()
    values.view(np.uint32)[5, 0] ^= 1
    return values


_copy("copied_but_one_bit", _one_bit)
_copy("copied_at_another_scale", lambda values: values * np.float32(2))
_copy("copied_with_an_offset", lambda values: values + np.float32(0.25))

# --- what it cost and how it was trained ------------------------------------------------------------------------------
put("cost_nan", "NaN", lambda t: t["cost"].update(latency_1_s=float("nan")))
put("cost_negative_latency", "schema", lambda t: t["cost"].update(latency_64_s=-1e-3))
put("cost_negative_wall", "negative", lambda t: t["cost"].update(wall_s=-3.0))
put("cost_negative_memory", "schema", lambda t: t["cost"].update(peak_memory_bytes=-1))
put("cost_half_a_byte", "schema", lambda t: t["cost"].update(peak_memory_bytes=0.5))
put("cost_huge_flops", "beyond", lambda t: t["cost"].update(flops_per_sample=1e300))
put("cost_of_many_samples", "test samples", lambda t: t["cost"].update(predict_samples=10**9))
put("trained_more_than_there_is", "parameters", lambda t: t["model"].update(parameters=10, trained_parameters=11))
put("zero_shot_that_trains", "zero-shot", lambda t: t["model"].update(parameters=10, trained_parameters=10))
put("zero_shot_with_threshold", "zero-shot", lambda t: t.update(calibration={"f1_macro": {"threshold": 0.1}}))
put("calibrated_metric_unknown", "calibration", lambda t: _full(t, calibration={"evil": {"threshold": 0.1}}))
put("calibrated_by_something", "calibration", lambda t: _full(t, calibration={"f1_macro": {"labels": 0.1}}))
put("budget_of_ones_own", "budget", lambda t: _full(t, budget_percent=37.5))
put("budget_exceeded", "more than", lambda t: _full(t, budget_percent=1.0, n_train=40_000))
put("more_than_the_dataset", "more than", lambda t: _full(t, n_train=10**9))
put("draw_of_all", "draw", lambda t: _full(t, draw=3))
put("head_of_the_future", "head", lambda t: t.update(regime="head", head="linear", head_version=99, n_train=9))
put("shots_of_zero_shot", "zero-shot", lambda t: t.update(shots=5))


def _full(table: dict[str, Any], **changes: Any) -> None:
    table.update({"regime": "full", "n_train": 100, **changes})


def _instead(name: str, expect: str, *made: Made, **manifest_: Any) -> None:
    """A case whose results lie where their content belongs."""

    def spoil(folder: Path) -> None:
        _empty(folder)
        lay(folder.parents[1], *made, **manifest_)

    CASES.append(Case(name, spoil, expect))


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


_FULL: dict[str, Any] = {"regime": "full", "n_train": 100, "model_trains": True}
_instead("the_best_seeds_of_many", "all from 0 on", *(make(seed_=n, seed=n, **_FULL) for n in (0, 17, 42)))
_instead("the_best_draw_of_many", "all from 0 on", make(draw=4, budget_percent=10.0, **_FULL))
_instead("two_licences", "two things of its licence", make(), make(seed=1, seed_=1, model_licence="closed"))
_instead("two_overlaps", "two things of its overlap", make(), make(seed=1, seed_=1, model_overlap="dataset"))
_instead("more_than_one_folder_holds", "supersedes revision 9", make(), supersedes="9")

# --- words, addresses, evidence ---------------------------------------------------------------------------------------
for _name, _source in {
    "source_runs": "javascript:alert(1)",
    "source_runs_in_capitals": "JavaScript:alert(1)",
    "source_is_data": "data:text/html,<script>alert(1)</script>",
    "source_is_file": "file:///etc/passwd",
    "source_with_user": "https://example.org@evil.example/net",
    "source_with_password": "https://me:secret@example.org/net",
    "source_hides_user": "see https://github.com%2fwbench@evil.example/net",
    "source_without_host": "https:///net",
    "source_is_no_address": "https://[::1/net",
}.items():
    put(_name, "source or pre-training", lambda t, source=_source: t["model"].update(source=source))
put("pretraining_runs", "source or pre-training", lambda t: t["model"].update(pretraining=["vbscript:x"]))
put("kind_from_paper", "no kind", lambda t: t["model"].update(kind="from-paper"))
put("evidence_in_the_result", "schema", lambda t: t.update(evidence="reproduced"))
put("evidence_in_the_provenance", "provenance of", lambda t: t["provenance"].update(reproduced="by the maintainers"))
put("made_tomorrow", "provenance of", lambda t: t["provenance"].update(time="2999-01-01T00:00:00Z"))
manifest("evidence_in_the_manifest", "schema", status="reproduced")
manifest("address_with_password", "without user", outside={"url": f"https://a:b@example.org/{'a' * 40}", "files": {}})
manifest("address_with_port", "without user", outside={"url": f"https://example.org:8443/{'a' * 40}", "files": {}})
manifest("address_data", "address", outside={"url": f"data:text/html,{'a' * 40}", "files": {}})


def _card(name: str, text: str, expect: str = "card is refused") -> None:
    def spoil(folder: Path) -> None:
        (folder / layout.CARD).write_text(f"# net\n\n{text}\n")
        seal(folder)

    CASES.append(Case(name, spoil, expect))


_card("card_script", "<script>alert(1)</script>")
_card("card_image", "<img src=x onerror=alert(1)>")
_card("card_html_behind_backslashes", "\\\\<svg/onload=alert(1)>")
_card("card_comment", "<!-- hidden -->")
_card("card_entity", "[paper](&#106;avascript:alert(1))")
_card("card_link_runs", "[paper](javascript:alert(1))")
_card("card_link_runs_in_capitals", "[paper]: JaVaScRiPt :alert(1)")
_card("card_link_data", "[paper](data:text/html;base64,PHNjcmlwdD4=)")
_card("card_link_file", "[paper](file:///etc/passwd)")
_card("card_link_user", "[paper](https://github.com@evil.example/x)")


@case("letters, digits")
def revision_of_wide_digits(folder: Path) -> None:
    lay(folder.parents[1], make(revision="2", seed=3))
    (folder.parent / "2").rename(folder.parent / "\uff12")


@case("letters, digits")
def revision_in_another_normal_form(folder: Path) -> None:
    (folder.parent / "re\u0301").mkdir()
    (folder.parent / "r\u00e9").mkdir()


@case("not the folder of a model")
def model_in_another_normal_form(folder: Path) -> None:
    folder.parent.rename(folder.parents[1] / "lab__ne\u0301t")


@case("too large together")
def folder_without_end(folder: Path) -> None:
    path = folder / "results" / "x-v1" / "tiny"
    path.mkdir(parents=True)
    with (path / layout.RESULT).open("wb") as stream:
        stream.truncate(10**12)  # a hole: nothing of it is on the disk


@case("stands there twice")
def key_twice_deep_inside(folder: Path) -> None:
    path = result_file(folder)
    path.write_text(path.read_text().replace('"licence":', '"licence": "MIT", "licence":', 1))
    seal(folder)


@case("stands there twice")
def key_twice_by_escape(folder: Path) -> None:
    path = result_file(folder)
    path.write_text(path.read_text().replace('"licence":', '"licen\\u0063e": "MIT", "licence":', 1))
    seal(folder)
