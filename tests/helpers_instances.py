"""Audits and scores task instances with the trivial baselines and classical methods of ``leaderboard/tiny.toml``."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wbench.dataset.spec import load_recipe
from wbench.errors import ResultError
from wbench.registry import registry
from wbench.run import codec as codecs
from wbench.run import score as scoring
from wbench.run.cell import Answer, Cell, answer_cell, prepare
from wbench.run.generate import generate
from wbench.run.plan import dataset_path, load_task
from wbench.run.score import score_predictions
from wbench.task.audit import audit
from wbench.task.base import Task
from wbench.task.spec import load_spec

ROOT = Path(__file__).parent.parent
INSTANCES = registry().names("task")


def on(*generators: str) -> list[str]:
    """Instances all of whose datasets are of these generators."""
    return [n for n in INSTANCES if all(load_recipe(r).generator in generators for r in load_spec(n).recipes)]


@cache
def board() -> ModuleType:
    """The module ``tools/board.py``."""
    spec = importlib.util.spec_from_file_location("board", ROOT / "tools" / "board.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["board"] = module  # where pydantic looks annotations up
    spec.loader.exec_module(module)
    return module


@cache
def models_of(name: str) -> tuple[str, ...]:
    """Models that ``leaderboard/tiny.toml`` scores on an instance."""
    matrix = board().read_matrix(ROOT / "leaderboard" / "tiny.toml")
    return tuple(model for one in matrix.rounds if board().tasks_of(one, (name,)) for model in one.models)


def decode_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders run in this process: that they do not need it is tested elsewhere, and a process costs a second."""
    monkeypatch.setattr(codecs, "open_room", lambda decoder, _: decoder)
    monkeypatch.setattr(codecs, "_decode", lambda _, decode, chunks: np.concatenate([decode(part) for part in chunks]))


def audited_and_scored(task: Task) -> tuple[dict[str, float], Answer]:
    """Primary scores of the models that serve the task, after the audit; and the last answer."""
    found = audit(task)
    assert found.violations == ()
    assert min(found.samples.values()) > 0
    values, answer = {}, None
    for model in models_of(task.spec.name):
        cell = Cell(model)
        built, reason = prepare(cell, task)
        if reason is not None:
            # A trivial model refuses nothing but too few samples for many beams.
            assert model not in task.spec.trivial or "training samples" in reason, f"{model}: {reason}"
            continue
        answer = answer_cell(built, cell, task)
        scores, _ = score_predictions(task, answer.ids, answer.predictions, answer.calibration)
        assert all(np.isfinite(score.value) for score in scores)
        (values[model],) = [s.value for s in scores if s.slice == "ranked" and s.metric == task.spec.primary]
    assert answer is not None
    return values, answer


def empty_slices_are_errors(task: Task, answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ranked must not be empty; any other empty slice has a reason in place of a score."""
    given = task, answer.ids, answer.predictions, answer.calibration
    nobody, everybody = np.zeros(len(answer.ids), dtype=bool), np.ones(len(answer.ids), dtype=bool)
    with monkeypatch.context() as patch:
        patch.setattr(scoring, "slice_members", lambda *_: {"ranked": everybody, "speed=9": nobody})
        scores, skipped = score_predictions(*given)
        assert {score.slice for score in scores} == {"ranked"}
        assert "empty slice" in skipped[f"{task.spec.primary}@speed=9"]
        patch.setattr(scoring, "slice_members", lambda *_: {"ranked": nobody, "all": everybody})
        with pytest.raises(ResultError, match="empty slice"):
            score_predictions(*given)
    for column in task.columns("test", answer.ids):
        with monkeypatch.context() as patch:
            patch.setattr(task, "spec", task.spec.model_copy(update={"ranked_slice": {column: (1e30, 2e30)}}))
            with pytest.raises(ResultError, match="empty slice"):
                score_predictions(*given)


def score_on_tiny(name: str, data: Path) -> dict[str, float]:
    """Scores of an instance on its real ``tiny`` datasets, which are generated in ``data`` where they are not there."""
    for recipe in load_spec(name).recipes:
        path = dataset_path(recipe, "tiny", data=data)
        if not path.exists():
            assert not generate(recipe, size="tiny", out=path).failures
    task = load_task(name, size="tiny", data=data)
    values, _ = audited_and_scored(task)
    for model in ("wbench/zeros", "wbench/zeros-codec"):
        if model in values and task.spec.primary.startswith("nmse"):
            assert values[model] == pytest.approx(0, abs=1e-9)
    return values
