"""The result file: written whole or not at all, read with a clear error."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from wbench.errors import ResultError
from wbench.result import (
    CostRecord,
    DatasetRecord,
    ModelRecord,
    PredictionsRecord,
    Result,
    Score,
    TaskRecord,
    read_result,
    read_results,
    write_result,
)


def make(**changes: Any) -> Result:
    score = Score(
        metric="top1",
        metric_version=1,
        unit="",
        higher_is_better=True,
        slice="ranked",
        value=0.5,
        n=9,
        replicates=(0.4, 0.6),
    )
    fields: dict[str, Any] = {
        "task": TaskRecord(name="t", version=1, digest="d", family="f", kind="classify", primary="top1", size="tiny"),
        "datasets": (DatasetRecord(recipe="r", spec_digest="a", content_digest="b", split_digest="c"),),
        "model": ModelRecord(name="m/n", revision="1", kind="user"),
        "regime": "none",
        "budget_percent": 100.0,
        "draw": 0,
        "seed": 0,
        "n_train": 0,
        "n_val": 0,
        "n_test": 9,
        "scores": (score, score.model_copy(update={"slice": "all", "value": 0.1 + 0.2})),
        "cost": CostRecord(),
        "predictions": PredictionsRecord(path="predictions.npy", digest="e", bytes=1),
        "provenance": {"python": "3"},
    }
    return Result(**{**fields, **changes})


def test_round_trip_to_the_last_bit(tmp_path: Path) -> None:
    path = tmp_path / "a" / "result.json"
    write_result(make(), path)
    assert read_result(path) == make()
    assert read_result(path).scores[1].value == 0.1 + 0.2
    assert read_results(tmp_path) == [make()]
    assert make().primary().value == 0.5
    assert make().score("top1", "all") is not None
    assert make().score("top3") is None


@pytest.mark.parametrize(
    "wrong", [{"budget_percent": 0.0}, {"budget_percent": float("nan")}, {"seed": -1}, {"regime": "x"}, {"more": 1}]
)
def test_what_must_not_be_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**wrong)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_scores_are_finite(value: float) -> None:
    with pytest.raises(ValidationError):
        Score(metric="a", metric_version=1, unit="", higher_is_better=True, slice="all", value=value, n=1)


def test_no_ranked_score() -> None:
    with pytest.raises(ResultError, match="no ranked score"):
        make(scores=()).primary()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model"), "breaks the schema.*model"),
        (lambda t: t.update(surprise=1), "breaks the schema.*surprise"),
        (lambda t: t["scores"][0].update(value=None), "breaks the schema.*scores.0.value"),
        (lambda t: t.update(schema_version=99), "schema version 99.*pip install --upgrade"),
    ],
)
def test_files_that_break_the_schema(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "result.json"
    write_result(make(), path)
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))
    with pytest.raises(ResultError, match=f"(?s){message}"):
        read_result(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"task": NaN}'])
def test_files_that_are_no_results(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(ResultError):
        read_result(path)
    with pytest.raises(ResultError, match="cannot be read"):
        read_result(tmp_path / "absent.json")
    with pytest.raises(ResultError, match="No such results folder"):
        read_results(tmp_path / "absent")


def test_a_save_that_stops_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", stop)
    error: BaseException = OSError(28, "No space left on device")
    with pytest.raises(ResultError, match=r"could not be saved(?s:.*)No space left"):
        write_result(make(), tmp_path / "result.json")
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        write_result(make(), tmp_path / "result.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="could not be saved"):
        write_result(make(), tmp_path / "file" / "result.json")
