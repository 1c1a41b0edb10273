"""Hostile submissions, made by code: each spoils a valid one in its own way and says which words must refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers_submission import edit, result_file, seal
from wbench_leaderboard.submission import layout

__all__ = ["CASES", "Case"]

XSS = '"><script>alert(1)</script>'
Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """``spoil`` gets the revision's folder; a line of the report must hold ``expect``."""

    name: str
    spoil: Spoil
    expect: str


CASES: list[Case] = []


def case(expect: str) -> Callable[[Spoil], Spoil]:
    def keep(spoil: Spoil) -> Spoil:
        CASES.append(Case(spoil.__name__, spoil, expect))
        return spoil

    return keep


def put(name: str, expect: str, change: Callable[[dict[str, Any]], object]) -> None:
    """A case that changes the table of the result, and brings the list of files up to it."""
    CASES.append(Case(name, lambda folder: edit(folder, change), expect))


def raw(name: str, expect: str, content: bytes | Callable[[bytes], bytes], file: str = layout.RESULT) -> None:
    """A case that replaces the bytes of a file."""

    def spoil(folder: Path) -> None:
        path = result_file(folder).with_name(file) if file != layout.MANIFEST else folder / file
        path.write_bytes(content(path.read_bytes()) if callable(content) else content)
        if file != layout.MANIFEST:
            seal(folder)

    CASES.append(Case(name, spoil, expect))


def manifest(name: str, expect: str, **changes: Any) -> None:
    """A case that changes the list of files itself."""
    CASES.append(Case(name, lambda folder: seal(folder, **changes), expect))


# --- JSON: bombs, tricks of the format --------------------------------------------------------------------------------
raw("deep_json", "nested deeper", b"[" * 100_000 + b"]" * 100_000)
raw("deep_tables", "nested deeper", b'{"a":' * 20_000 + b"1" + b"}" * 20_000)
raw("deep_in_manifest", "nested deeper", b"[" * 1_000_000, layout.MANIFEST)
raw("huge_json", "too large", b'"' + b"a" * 3_000_000 + b'"')
raw("empty_json", "not JSON", b"")
raw("half_json", "not JSON", lambda content: content[: len(content) // 2])
raw("not_utf8", "not JSON", b'{"task": "\xff\xfe"}')
raw("byte_order_mark", "not JSON", lambda content: b"\xef\xbb\xbf" + content)
raw("utf16", "not JSON", lambda content: content.decode().encode("utf-16"))
raw("json_list", "schema", b"[]")
raw("json_null", "schema", b"null")
raw("two_values", "not JSON", lambda content: content + content)
raw("key_twice", "stands there twice", lambda content: b'{"seed": 1,' + content.lstrip()[1:])
raw("nan", "NaN", lambda content: content.replace(b'"seed": 0', b'"seed": NaN'))
raw("infinity", "Infinity", lambda content: content.replace(b'"predict_s": 0.5', b'"predict_s": -Infinity'))
raw("overflow", "not finite", lambda content: content.replace(b'"predict_s": 0.5', b'"predict_s": 1e999'))
raw("digits", "not JSON", lambda content: content.replace(b'"seed": 0', b'"seed": ' + b"9" * 5000))
raw("lone_surrogate", "U+D800", lambda content: content.replace(b"A net", b"\\ud800"))
raw("nul_in_text", "U+0000", lambda content: content.replace(b"A net", b"\\u0000"))
raw("comment", "not JSON", lambda content: b"// hello\n" + content)
raw("pickle", "not JSON", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94.")

# --- the result's own words -------------------------------------------------------------------------------------------
put("unknown_field", "schema", lambda t: t.update(evil=1))
put("missing_field", "schema", lambda t: t.pop("task"))
put("number_as_text", "schema", lambda t: t.update(seed="0"))
put("truth_as_number", "schema", lambda t: t.update(seed=True))
put("future_schema", "schema version", lambda t: t.update(schema_version=99))
put("negative_schema", "schema version", lambda t: t.update(schema_version=-1))
put("negative_seed", "schema", lambda t: t.update(seed=-1))
put("huge_seed", "2^53", lambda t: t.update(seed=10**30))
put("budget_zero", "schema", lambda t: t.update(budget_percent=0))
put("bidi_summary", "U+202E", lambda t: t["model"].update(summary="safe \u202egnp.exe"))
put("zero_width_summary", "U+200B", lambda t: t["model"].update(summary="a\u200bb"))
put("tag_characters", "U+E0041", lambda t: t["model"].update(summary="x\U000e0041"))
put("hangul_filler", "U+3164", lambda t: t["model"].update(licence="\u3164"))
put("zalgo", "marks on one letter", lambda t: t["model"].update(summary="z" + "\u0317" * 40))
put("not_normal", "normal form", lambda t: t["model"].update(summary="e\u0301"))
put("escape_codes", "U+001B", lambda t: t["model"].update(summary="\x1b[2J\x1b[31mowned"))
put("newline_in_name", "U+000A", lambda t: t["model"].update(name="lab/net\n"))
put("long_summary", "characters, the limit", lambda t: t["model"].update(summary="a" * 20_000))
put("bidi_key", "U+202E", lambda t: t["provenance"].update({"a\u202eb": 1}))
put(
    "provenance_bomb",
    "provenance is too long",
    lambda t: t["provenance"].update({str(i): "x" * 900 for i in range(90)}),
)
put("script_name", "name or revision", lambda t: t["model"].update(name=f"lab/{XSS}"))
put("cyrillic_name", "name or revision", lambda t: t["model"].update(name="l\u0430b/net"))
put("path_name", "name or revision", lambda t: t["model"].update(name="../../etc/cron.d/x"))
put("two_slashes", "name or revision", lambda t: t["model"].update(name="lab/net/extra"))
put("double_underscore", "name or revision", lambda t: t["model"].update(name="lab__a/net"))
put("device_name", "name or revision", lambda t: t["model"].update(name="con/net"))
put("empty_revision", "name or revision", lambda t: t["model"].update(revision=""))
put("script_revision", "name or revision", lambda t: t["model"].update(revision=XSS))
put("other_model", "it is of lab/other", lambda t: t["model"].update(name="lab/other"))
put("other_revision", "it is of lab/net revision 2", lambda t: t["model"].update(revision="2"))
put("other_seed", "content belongs to", lambda t: t.update(seed=5))
put("task_is_path", "no task", lambda t: t["task"].update(name="../../../../etc/passwd.toml"))
put("task_unknown", "no task", lambda t: t["task"].update(name="made-up"))
put("size_unknown", "giant", lambda t: t["task"].update(size="giant"))
put("script_task", "no task", lambda t: t["task"].update(name=XSS))

# --- numbers that cannot be -------------------------------------------------------------------------------------------
put("old_task_digest", "stale", lambda t: t["task"].update(digest="sha256:" + "0" * 64))
put("old_task_version", "stale", lambda t: t["task"].update(version=0))
put("old_dataset", "stale", lambda t: t["datasets"][0].update(spec_digest="sha256:" + "0" * 64))
put("old_split", "stale", lambda t: t["datasets"][0].update(split_digest="sha256:" + "0" * 64))
put("other_recipe", "stale", lambda t: t["datasets"][0].update(recipe="snap-uma"))
put("no_dataset", "stale", lambda t: t.update(datasets=[]))
put("dataset_twice", "stale", lambda t: t.update(datasets=t["datasets"] * 2))
put("old_metric", "stale", lambda t: t["scores"][0].update(metric_version=0))
put("different_data", "different from the published", lambda t: t["datasets"][0].update(verdict="different"))
put("better_value", "columns give", lambda t: _raise(t, 0.05))
put("beyond_bounds", "bounds", lambda t: _raise(t, 5.0))
put("perfect", "perfect", lambda t: _perfect(t))
put("narrow_interval", "interval", lambda t: t["scores"][0]["interval"].update(low=t["scores"][0]["value"] - 1e-4))
put("one_sided_level", "95 % interval", lambda t: t["scores"][0]["interval"].update(level=0.5))
put("interval_left_out", "without an interval", lambda t: t["scores"][0].update(interval=None))
put("replicates_left_out", "replicates", lambda t: t["scores"][0].update(replicates=[]))
put("huge_replicates", "bounds", lambda t: t["scores"][0].update(replicates=[1e308, -1e308] * 3))
put("many_replicates", "replicates", lambda t: t["scores"][0].update(replicates=[0.5] * 5000))
put("turned_metric", "better up", lambda t: t["scores"][0].update(higher_is_better=False))
put("script_unit", "no unit", lambda t: t["scores"][0].update(unit=XSS))
put("script_slice", "slice", lambda t: t["scores"][-1].update(slice=XSS))
put("script_metric", "not a metric", lambda t: t["scores"][-1].update(metric=XSS))
put("score_twice", "stands there twice", lambda t: t["scores"].append(t["scores"][0]))
put("no_scores", "is missing", lambda t: t.update(scores=[]))
put("primary_missing", "is missing", lambda t: t["scores"].pop(0))
put("few_samples", "samples", lambda t: t["scores"][0].update(n=3))
put("many_samples", "samples", lambda t: t["scores"][0].update(n=10**9))
put("negative_count", "negative", lambda t: t.update(n_val=-5))
put("negative_time", "negative", lambda t: t["cost"].update(predict_s=-1.0))
put("time_of_nothing", "samples in", lambda t: t["cost"].update(predict_s=1e-300))
put("payload_of_classifier", "payload", lambda t: t["cost"].update(payload_bits_mean=1.0, payload_bits_max=1))
put("trained_zero_shot", "zero-shot", lambda t: t.update(n_train=100))
put("head_of_none", "regime none", lambda t: t.update(head="linear"))
put("script_head", "no head", lambda t: t.update(head=XSS, regime="head", n_train=5))
put("reference_kind", "reference lines", lambda t: t["model"].update(kind="trivial"))
put("unknown_kind", "no kind", lambda t: t["model"].update(kind=XSS))
put("unknown_overlap", "no overlap", lambda t: t["model"].update(overlap="secret"))
put("predictions_elsewhere", "must be called", lambda t: t["predictions"].update(path="../../predictions.npy"))
put("predictions_absolute", "must be called", lambda t: t["predictions"].update(path="/etc/passwd"))
put("predictions_digest", "not those of the result", lambda t: t["predictions"].update(digest="sha256:" + "1" * 64))
put("digest_is_text", "not one", lambda t: t["predictions"].update(digest=XSS))


def _raise(table: dict[str, Any], by: float) -> None:
    """A better score whose interval and replicates move along."""
    score = table["scores"][0]
    score["value"] += by
    score["replicates"] = [value + by for value in score["replicates"]]
    for end in ("low", "high"):
        score["interval"][end] = min(1.0 if by < 1 else 9.0, score["interval"][end] + by)


def _perfect(table: dict[str, Any]) -> None:
    for score in table["scores"]:
        count = score["interval"]["groups"]
        score.update(value=1.0, replicates=[1.0] * count if score["slice"] == "ranked" else [])
        score["interval"].update(low=1.0, high=1.0)
