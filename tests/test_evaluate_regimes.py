"""Heads, fine-tuning and few-shot parts in an evaluation: which cells there are, and what their results say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers_files import write_model
from tests.helpers_lab import Lab
from tests.test_evaluate_cli import run
from wbench.errors import UsageError
from wbench.heads import HEADS, FineTuned
from wbench.heads.trained import MlpHead
from wbench.result import read_result, write_result
from wbench.run.evaluate import evaluate
from wbench.training import TrainingSettings

EMBEDDER = """
    class Mine(wbench.TorchEmbedder):
        info = wbench.ModelInfo("test/torch", revision="1")

        def setup(self, spec, meta):
            super().setup(spec, meta)
            from torch import nn
            from wbench.training import seeded
            self.module = seeded(lambda: nn.Linear(2 * meta.shape[-1], 4), 0, "mine")

        def inputs(self, batch):
            h = batch.x["H"][:, 0, 0]
            return {"h": np.concatenate([h.real, h.imag], axis=-1).astype(np.float32)}

        def forward_tokens(self, inputs):
            return self.module(inputs["h"]).tanh()
"""
PLAIN = """
    class Mine(wbench.Embedder):
        info = wbench.ModelInfo("test/plain", revision="1")

        def embed(self, batch):
            return np.abs(batch.x["H"][:, 0, 0]).astype(np.float32)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (MlpHead, FineTuned):
        monkeypatch.setattr(cls, "settings", TrainingSettings(2, 64, patience=2))
        monkeypatch.setattr(cls, "steps", 4)


def cells(lab: Lab, tmp_path: Path, models: list[str], task: str = "los", **options: Any) -> Any:
    return evaluate(models, [lab.toml(task)], size="tiny", out=tmp_path / "results", **options).cells


def test_shots_are_drawn_ten_times_and_recorded(lab: Lab, tmp_path: Path) -> None:
    found = cells(lab, tmp_path, ["wbench/logistic", "wbench/constant"], shots=(1, 5))
    results = [cell.result for cell in found]
    assert [(r.shots, r.draw) for r in results[:-1]] == [(k, d) for k in (1, 5) for d in range(10)]
    assert {(r.shots, r.n_train, r.n_val) for r in results[:-1]} == {(1, 2, 2), (5, 10, 10)}
    whole = len(lab.task("los").ids("train"))
    assert results[0].budget_percent == pytest.approx(200 / whole)
    assert (results[-1].shots, results[-1].regime, results[-1].budget_percent) == (None, "none", 100)
    assert len({cell.path for cell in found}) == 21
    assert found[0].path.parent.name.startswith("full-self-k1-d0-s0-")
    both = cells(lab, tmp_path, ["wbench/logistic"], shots=(1,), budgets=(100,), draws=2)
    assert [(c.cell.shots, c.cell.draw, c.status) for c in both] == [(None, 0, "done"), (1, 0, "kept"), (1, 1, "kept")]


def test_shots_that_cannot_be_are_reported(lab: Lab, tmp_path: Path) -> None:
    (many,) = cells(lab, tmp_path, ["wbench/majority"], shots=(300,), draws=1)
    assert many.status == "not applicable"
    assert "there are not 300 samples of every class" in many.reason.lower()
    (beams,) = cells(lab, tmp_path, ["wbench/majority"], task="beam", shots=(1,), draws=1)
    assert beams.status == "not applicable"
    (time,) = cells(lab, tmp_path, ["wbench/wiener"], task="time", shots=(1,), draws=1)
    assert "Shots are samples of a class" in time.reason


def test_regimes_and_seeds_of_heads(lab: Lab, tmp_path: Path) -> None:
    mine, plain = write_model(tmp_path, EMBEDDER), write_model(tmp_path, PLAIN)
    assert len(cells(lab, tmp_path, [mine], seeds=3)) == 1  # the linear head does not draw
    heads = [c.result for c in cells(lab, tmp_path, [mine], head="mlp", seeds=3)]
    assert [(r.regime, r.head, r.head_version, r.seed) for r in heads] == [("head", "mlp", 1, s) for s in range(3)]
    channel = lab.task("los").meta.shape[-1]
    embedder = (2 * channel + 1) * 4
    assert {(r.model.parameters, r.model.trained_parameters) for r in heads} == {(embedder + 1794, 1794)}
    tuned, no = cells(lab, tmp_path, [mine, plain], regime="fine-tune", layers=1)
    assert (tuned.result.regime, tuned.result.head, tuned.result.layers) == ("fine-tune", "linear", 1)
    assert tuned.result.model.trained_parameters == tuned.result.model.parameters == embedder + 10
    assert tuned.path.parent.name.startswith("fine-tune-last1-linear-b100")
    assert (no.status, "no TorchEmbedder" in no.reason) == ("not applicable", True)
    (all_layers,) = cells(lab, tmp_path, [mine], regime="fine-tune")
    assert all_layers.result.layers is None
    assert all_layers.path != tuned.path


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regime": "fine-tune", "head": "knn"}, "cannot be fine-tuned"),
        ({"layers": 2}, "belong to fine-tuning"),
        ({"regime": "fine-tune", "layers": 0}, "from 1 on"),
        ({"regime": "frozen"}, "regimes"),
        ({"shots": (0,)}, "from 1 on"),
    ],
)
def test_wrong_requests(lab: Lab, tmp_path: Path, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        cells(lab, tmp_path, ["wbench/constant"], **options)


def test_a_result_of_the_first_schema_is_read(lab: Lab, tmp_path: Path) -> None:
    (cell,) = cells(lab, tmp_path, ["wbench/majority"])
    stored = json.loads(cell.path.read_text())
    assert stored.pop("schema_version") == 3
    for name in ("shots", "layers", "head_version"):
        assert stored.pop(name) is None
    del stored["model"]["trained_parameters"]
    assert stored["model"].pop("pretraining_samples") is None
    for name in ("latency_1_s", "latency_64_s", "peak_memory_bytes"):
        assert stored["cost"].pop(name) > 0
    for name in ("flops_per_sample", "peak_device_bytes"):
        assert stored["cost"].pop(name) is None
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"schema_version": 1, **stored}))
    result = read_result(old)
    assert (result.shots, result.layers, result.model.trained_parameters) == (None, None, None)
    write_result(result, old)
    assert read_result(old) == result


def test_what_the_command_line_shows(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write_model(tmp_path, EMBEDDER)
    common = ["--task", lab.toml("los"), "--size", "tiny", "--out", tmp_path / "results"]
    asked = ["--regime", "fine-tune", "--layers", "1", "--shots", "5", "--draws", "1"]
    assert run("evaluate", "--model", mine, *common, *asked) == 0
    shown = capsys.readouterr().out
    assert "fine-tune last 1 linear" in shown
    assert "5-shot" in shown
    assert run("evaluate", "--model", mine, *common, "--head", "mlp") == 0
    assert "1.93k, 1.79k trained" in capsys.readouterr().out
    assert run("evaluate", "--help") == 0
    words = capsys.readouterr().out
    assert all(name.removeprefix("resnet1d") in words for name in HEADS)
    assert run("list", "heads") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in HEADS)
